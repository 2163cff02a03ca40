/** A busy history that is the same in every run: many programs, shared and own accounts, ring buffers, limits, calls between programs. */

import { CatchUp, RingRight, type AsyncBpfEngine, type Priority, type SlotReport } from '../../dist/index.js';
import { address, addressBytes } from './addresses.js';
import { random, u64, utf8 } from './bytes.js';
import { End, script, type Call } from './conformance.js';
import { prebuilt } from './engine.js';

export const SCENARIO_LIMITS = {
  maxTimersPerProgram: 6,
  maxWatchersPerProgram: 10,
  maxScheduledTasks: 60,
  maxRingBuffersPerProgram: 3,
  maxComputeBudget: 40_000,
  slotComputeLimit: 500_000,
};

const PROGRAMS = ['p0', 'p1', 'p2', 'p3', 'p4'].map(address);
const SHARED = ['s0', 's1'];

/** What the host can see of a history. */
export interface History {
  slots: (Omit<SlotReport, 'outcomes'> & { outcomes: SlotReport['outcomes'] })[];
  invocations: unknown[];
  stats: unknown;
  accounts: unknown[];
  rings: unknown[];
}

/** Plays the history to an engine. `between` is called after everything that the host does. */
export function play(engine: AsyncBpfEngine, slots: number, between: () => void = () => {}, seed = 6): History {
  const next = random(seed);
  const pick = <T>(items: readonly T[]): T => items[next() % items.length]!;
  const chance = (percent: number) => next() % 100 < percent;

  for (const program of PROGRAMS) engine.addProgram(program, prebuilt('conformance'));
  const accounts = [...SHARED, ...PROGRAMS.map((_, index) => `own${index}`)];
  accounts.forEach((name, index) => {
    const owner = PROGRAMS[Math.max(0, index - SHARED.length)]!;
    engine.setAccount(address(name), { lamports: 50_000_000, data: new Uint8Array(64), owner });
  });
  const rings = PROGRAMS.slice(0, 2).flatMap((programId) => [
    engine.rings.create({ programId, size: 2048 }),
    engine.rings.create({ programId, size: 512, reader: 'host' }),
  ]);
  for (const ring of rings) for (const program of PROGRAMS) engine.rings.grant(ring, program, RingRight.READ + RingRight.WRITE);
  /** Ids that programs may know; some of them wrong, finished or another's. */
  const ids: bigint[] = [1n];

  function calls(program: number, depth = 0): Call[] {
    const slot = engine.slot;
    const data = () => (depth > 1 ? Uint8Array.of(End.SUCCEED) : script(calls(program, depth + 1)));
    const kinds: (() => Call)[] = [
      () => ['sol_timer_create', slot + 1n + BigInt(next() % 5), data(), 15_000],
      () => ['sol_timer_create_periodic', slot + 1n + BigInt(next() % 3), 1 + (next() % 4), data(), 15_000],
      () => ['sol_timer_create_with', slot + 1n, 0, slot + 2n, 0, 0, next() % 4, data(), 15_000],
      () => ['sol_timer_cancel', pick(ids)],
      () => ['sol_watcher_create', addressBytes(pick(accounts)), next() % 4, data(), 15_000],
      () => ['sol_watcher_create_threshold', addressBytes(pick(accounts)), 4 + (next() % 2), 0, next() % 100, data(), 15_000],
      () => ['sol_watcher_set_min_slots', pick(ids), 1 + (next() % 4)],
      () => ['sol_watcher_remove', pick(ids)],
      () => ['sol_ring_buffer_create', 64 + (next() % 200)],
      () => ['sol_ring_buffer_push', pick(rings), Uint8Array.from({ length: 1 + (next() % 60) }, () => next())],
      () => ['sol_ring_buffer_push', pick(rings), { room: 400 + (next() % 400) }],
      () => ['sol_ring_buffer_pop', pick(rings), { room: pick([8, 64]) }],
      () => ['sol_ring_buffer_peek', pick(rings), { room: pick([0, 64]) }],
      () => ['sol_task_schedule', data(), 15_000, next() % 4, chance(50) ? 0 : slot + 1n + BigInt(next() % 4)],
      () => ['sol_get_slot'],
      () => ['log', utf8(`${program}/${next() % 1000}`)],
      () => ['write_account', 0, next() % 64, Uint8Array.of(next())],
      () => ['move_lamports', 0, 1, next() % 3000],
      () => ['invoke', 3 + (next() % PROGRAMS.length), 1, 1, script([['sol_timer_create', slot + 2n, Uint8Array.of(0), 1000]])],
    ];
    return Array.from({ length: 1 + (next() % 4) }, () => pick(kinds)());
  }

  /**
   * One instruction: its own account first, which only its program may write, then a shared one, then programs to call. Some only
   * read, so that many can run at the same time and meet in timers, watchers, ring buffers and the task queue alone.
   */
  function callback() {
    const program = next() % PROGRAMS.length;
    const writes = chance(50);
    const end = chance(8) ? End.FAIL : chance(4) ? End.LOOP : End.SUCCEED;
    return {
      programId: PROGRAMS[program]!,
      data: script(calls(program), end).subarray(0, 1024),
      accounts: [
        { address: address(`own${program}`), isWritable: writes },
        { address: address(pick(SHARED)), isWritable: writes && chance(50) },
        { address: address(pick(accounts)) },
        ...PROGRAMS,
      ],
      computeBudget: pick([5_000, 15_000, 40_000]),
    };
  }

  /** What is refused is refused in every run: the code is part of the history. */
  const invocations: unknown[] = [];
  const attempt = (call: () => unknown) => {
    let result: unknown;
    try {
      result = call();
    } catch (error) {
      result = (error as Error).message;
    }
    if (typeof result === 'bigint') ids.push(result);
    invocations.push(result);
    between();
  };

  const history: History['slots'] = [];
  for (let n = 0; n < slots; n++) {
    for (let m = next() % 14; m > 0; m--) attempt(() => engine.tasks.submit({ ...callback(), priority: (next() % 4) as Priority }).id);
    for (let m = next() % 4; m > 0; m--)
      attempt(() => engine.timers.create({ ...callback(), triggerSlot: engine.slot + 1n + BigInt(next() % 4) }));
    if (chance(30)) {
      const catchUp = pick(Object.values(CatchUp));
      attempt(() =>
        engine.timers.createPeriodic({ ...callback(), startSlot: engine.slot + 1n, periodSlots: 1 + (next() % 3), catchUp, maxTicks: 2 }),
      );
    }
    if (chance(40)) attempt(() => engine.watchers.create({ ...callback(), account: address(pick(accounts)), trigger: pick([0, 1, 2]) }));
    if (chance(60)) attempt(() => engine.invoke(callback()));
    if (chance(10)) attempt(() => engine.timers.cancel(pick(ids)));
    if (chance(10)) attempt(() => engine.watchers.pause(pick(ids)));
    for (let m = next() % 4; m > 0; m--) {
      const name = pick(accounts);
      const { owner } = engine.getAccount(address(name))!;
      attempt(() =>
        engine.updateAccounts([
          { address: address(name), lamports: 50_000_000, data: Buffer.concat([u64(next() % 200), new Uint8Array(56)]), owner },
        ]),
      );
    }
    if (chance(50)) attempt(() => engine.rings.drain(pick([rings[1]!, rings[3]!]), 3));
    const report = engine.processSlot(engine.slot + BigInt(pick([1, 1, 1, 2, 5])));
    history.push({ ...report, outcomes: report.outcomes });
    // Ids of what programs created: they show up when it runs.
    for (const { source } of report.outcomes) ids.push(source.id);
    between();
  }
  return {
    slots: history,
    invocations,
    stats: engine.stats(),
    accounts: accounts.map((name) => engine.getAccount(address(name))),
    rings: rings.map((ring) => engine.rings.get(ring)),
  };
}
