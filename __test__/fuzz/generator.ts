/** Random scenarios: host calls and on-chain calls over many slots, as vectors without expectations. */

import type { BytesSpec, Invocation, NumberSpec, ScriptCall, ScriptSpec, Step, Vector, VectorCall } from '../support/vectors.js';

/** Decisions of one step, one number each; when they run out, every decision is the first choice, which is the simplest. */
export type Genes = readonly number[];

const PROGRAMS = ['a', 'b'];
/** Accounts that only the host writes, for watchers to watch, and the one that program a writes. */
const WATCHED = ['w', 'v', 'x'];
/** How deep in scripts of scripts the host is, which has no pointers. */
const HOST = -1;
/** More units than any script here uses by itself. */
const UNITS = 30_000;

/** Every scenario has these limits, low enough to be met. */
const LIMITS = {
  maxTimersPerProgram: 3,
  maxWatchersPerProgram: 4,
  maxRingBuffersPerProgram: 2,
  maxRingBufferSize: 128,
  defaultRingBufferSize: 96,
  maxTimerSlots: 200,
  maxCallbackDataLen: 400,
  maxPatternLen: 4,
  maxCallbackAccounts: 5,
};

export function scenario(setting: Genes, steps: readonly Genes[]): Vector {
  const { pick } = choices(setting);
  const generator = new Generator();
  return {
    name: 'random',
    rule: 'The engine and the model agree.',
    rules: [],
    engine: {
      startSlot: pick<number | { decimal: string }>([0, 90, 1_000_000, { decimal: `${2n ** 64n - 300n}` }]),
      limits: {
        ...LIMITS,
        maxScheduledTasks: pick([8, 2, 4, 30, 1]),
        slotComputeLimit: pick([1_000_000, 60_000, 130_000, 60_000]),
        maxComputeBudget: 1_000_000,
      },
      programs: PROGRAMS,
    },
    steps: [...SETUP, ...steps.flatMap((genes) => generator.step(choices(genes)))],
  };
}

/**
 * x and y are program a's, z is program b's, and each has data of a fixed length, so that writes stay inside. r is just rent-exempt,
 * and has one transfer's worth; p is below that.
 */
const SETUP: Step[] = [
  account('x', { lamports: 10_000_000, owner: 'a', data: '00000000000000000000000000000000' }),
  account('y', { lamports: 10_000_000, owner: 'a', data: '0000000000000000' }),
  account('z', { lamports: 10_000_000, owner: 'b', data: '0000000000000000' }),
  account('r', { lamports: 1_000_000, owner: 'a' }),
  account('p', { lamports: 1_000, owner: 'a', data: '00' }),
];

function account(address: string, state: object): Step {
  return { host: 'setAccount', args: { address, ...state } };
}

interface Choices {
  next(): number;
  pick<T>(items: readonly T[]): T;
  /** True once in so many times. */
  rarely(times: number): boolean;
}

function choices(genes: Genes): Choices {
  let at = 0;
  const next = () => genes[at++] ?? 0;
  return { next, pick: (items) => items[next() % items.length]!, rarely: (times) => next() % times === times - 1 };
}

type Kind = 'timer' | 'watcher' | 'ring';

class Generator {
  #names = 0;
  /** Names that were given to ids, whether what they name was created, is still there, or never was. */
  readonly #given: Record<Kind, string[]> = { timer: [], watcher: [], ring: [] };

  step(c: Choices): Step[] {
    return c.pick([
      () => [this.#slot(c)],
      () => [this.#invocation(c)],
      () => [this.#host(c)],
      () => [this.#update(c)],
      () => [this.#invocation(c), this.#slot(c)],
      () => [this.#host(c), this.#update(c), this.#slot(c)],
      () => (c.rarely(20) ? this.#grants(c) : [this.#slot(c)]),
      () => [...this.#crowd(c), this.#slot(c)],
      () => (c.rarely(3) ? this.#backlog(c) : [this.#slot(c)]),
    ])();
  }

  #slot({ pick, rarely }: Choices): Step {
    const step = { processSlot: pick([1, 1, 1, 2, 3, 1, 7, 20, 64, 101, 250, 0]) };
    return rarely(20) ? { ...step, unixTimestamp: pick([0, 1_700_000_000, -5]) } : step;
  }

  #invocation(c: Choices): Invocation {
    const program = c.pick(PROGRAMS);
    const calls: VectorCall[] = this.#calls(c, 0, (kind) => this.#name(kind));
    if (c.rarely(30)) return FLOOD;
    const invocation: Invocation = {
      invoke: program,
      calls,
      units: UNITS,
      accounts: ACCOUNTS[program]!,
      computeBudget: c.pick([200_000, UNITS]),
    };
    if (c.rarely(10)) invocation.end = c.pick(['fail', 'loop']);
    if (c.rarely(15)) invocation.computeBudget = c.pick([UNITS - 1, 1_000_001, 0]);
    // Where it is not the calls themselves that use up the units, the model could not know in the middle of which it was.
    if (c.rarely(40)) return { ...invocation, calls: [{ call: 'sol_get_slot', repeat: 2 }], computeBudget: 150 };
    return invocation;
  }

  /** What a program does. `name` gives names to what it creates, where later steps can know them. */
  #calls(c: Choices, depth: number, name: (kind: Kind) => string | undefined = () => undefined): ScriptCall[] {
    return Array.from({ length: 1 + (c.next() % 4) }, () => this.#call(c, depth, name));
  }

  #call(c: Choices, depth: number, name: (kind: Kind) => string | undefined): ScriptCall {
    const { pick, next, rarely } = c;
    const data = () => this.#data(c, depth);
    const budget = () => this.#budget(c);
    const named = (kind: Kind, call: string, args: ScriptCall['args']): ScriptCall => {
      const as = name(kind);
      return as === undefined ? { call, args } : { call, args, as };
    };
    return pick<() => ScriptCall>([
      () => named('timer', 'sol_timer_create', { trigger_slot: this.#ahead(c), data: data(), compute_budget: budget() }),
      () => named('ring', 'sol_ring_buffer_create', { size: pick([96, 64, 128, 63, 129]) }),
      () => {
        const push = { call: 'sol_ring_buffer_push', args: { buffer_id: this.#id(c, 'ring'), data: this.#entry(c) } };
        return rarely(3) ? { ...push, repeat: 3 } : push;
      },
      () => ({ call: 'sol_ring_buffer_pop', args: { buffer_id: this.#id(c, 'ring'), output: this.#output(c) } }),
      () => ({ call: 'sol_ring_buffer_peek', args: { buffer_id: this.#id(c, 'ring'), output: this.#output(c) } }),
      () => {
        const args = { start_slot: this.#ahead(c), period_slots: this.#period(c), data: data(), compute_budget: budget() };
        return named('timer', 'sol_timer_create_periodic', args);
      },
      () => {
        const periodic = rarely(2);
        return named('timer', 'sol_timer_create_with', {
          trigger_slot: this.#ahead(c),
          period_slots: periodic ? this.#period(c) : 0,
          deadline_slot: periodic && !rarely(10) ? 0 : pick<NumberSpec>([0, { slot: 2 }, { slot: 6 }, { slot: 1 }]),
          catch_up: pick([0, 1, 2, 1, 3]),
          max_ticks: pick([2, 1, 3, 64, 0, 65]),
          priority: pick([1, 0, 2, 3, 1, 4]),
          data: data(),
          compute_budget: budget(),
        });
      },
      () => ({ call: 'sol_timer_cancel', args: { timer_id: this.#id(c, 'timer') } }),
      () => {
        // Ids can be foretold, and so a timer's callback may know its own.
        const own = (1 + (next() % 8)) * 2 ** 20 + 1;
        const data: ScriptSpec = { script: [{ call: 'sol_timer_cancel', args: { timer_id: own } }], units: UNITS };
        return named('timer', 'sol_timer_create_periodic', { start_slot: { slot: 1 }, period_slots: 1, data, compute_budget: UNITS });
      },
      () => {
        const args = { pubkey: this.#pubkey(c), trigger_type: pick([0, 1, 2, 3, 0, 4, 7]), data: data(), compute_budget: budget() };
        return named('watcher', 'sol_watcher_create', args);
      },
      () => {
        const args = {
          pubkey: this.#pubkey(c),
          trigger_type: pick([4, 5, 4, 5, 4, 0, 6]),
          offset: pick<NumberSpec>([0, 8, 4, { decimal: '18446744073709551608' }, { decimal: '18446744073709551609' }]),
          threshold: pick([1, 2, 0, -1]),
          data: data(),
          compute_budget: budget(),
        };
        return named('watcher', 'sol_watcher_create_threshold', args);
      },
      () => {
        const args = {
          pubkey: this.#pubkey(c),
          offset: pick([0, 7, 15]),
          pattern: pick(['01', '0200', '', '0000000000']),
          data: data(),
          compute_budget: budget(),
        };
        return named('watcher', 'sol_watcher_create_pattern', args);
      },
      () => ({ call: 'sol_watcher_set_min_slots', args: { watcher_id: this.#id(c, 'watcher'), n: pick([2, 1, 5, 0, 200, 201]) } }),
      () => ({ call: 'sol_watcher_remove', args: { watcher_id: this.#id(c, 'watcher') } }),
      () => {
        const args = { buffer_id: this.#id(c, 'ring'), program_pubkey: { address: pick(['b', 'a', 'q']) }, rights: pick([3, 1, 2, 0, 4]) };
        return { call: 'sol_ring_buffer_grant', args };
      },
      () => ({ call: 'sol_ring_buffer_destroy', args: { buffer_id: this.#id(c, 'ring') } }),
      () => {
        const deadline = pick<NumberSpec>([0, { slot: 1 }, { slot: 3 }, { slot: 0 }]);
        return {
          call: 'sol_task_schedule',
          args: { data: data(), compute_budget: budget(), priority: pick([1, 0, 2, 3, 5]), deadline_slot: deadline },
        };
      },
      () => ({ call: 'sol_get_slot' }),
      () => ({ call: 'sol_async_last_error' }),
      () => ({ call: 'sol_async_context', args: { output: { room: pick([128, 128, 127, 200]) } } }),
      () => ({ call: 'write_account', args: { account: pick([0, 1, 3]), offset: pick([0, 4]), data: pick(['01', '02000000', '00']) } }),
      () => ({ call: 'resize_account', args: { account: pick([1, 2]), length: 10 } }),
      () => ({ call: 'write_account', args: { account: 0, offset: 8, data: pick(['0100000000000000', '0200000000000000', '00']) } }),
      () => ({
        call: 'move_lamports',
        args: { from: pick([0, 2, 1, 3]), to: pick([1, 0, 2, 3]), amount: pick([1, 1_000_000, 500_000, 100_000_000]) },
      }),
      () => {
        if (depth > 1) return { call: 'sol_get_slot' };
        const first = next() % 3;
        const script: ScriptSpec = { script: this.#calls(c, 2), units: UNITS / 3 };
        if (rarely(8)) script.end = 'fail';
        return { call: 'invoke', args: { program: 4, first, count: pick([0, 1, 3]), data: script } };
      },
    ])();
  }

  /** Callback data: a script, which does something in most cases; more deeply, it does less. */
  #data(c: Choices, depth: number): BytesSpec {
    if (c.rarely(12)) return c.pick<BytesSpec>(depth === HOST ? ['', { zeros: 401 }] : [null, { zeros: 401 }, { null: 1 }]);
    const script: ScriptSpec = {
      script: depth > 1 || c.rarely(3) ? [] : this.#calls(c, depth + 1),
      units: c.pick([UNITS, UNITS, UNITS + 10_000]),
    };
    if (c.rarely(6)) script.end = 'fail';
    return script;
  }

  #budget({ pick }: Choices): NumberSpec {
    return pick([UNITS, 40_000, UNITS, 50_000, UNITS, 20_000, 60_000, 140_000, 0, 1_000_001]);
  }

  #ahead({ pick }: Choices): NumberSpec {
    return { slot: pick([1, 2, 3, 1, 5, 30, 200, 0, 201]) };
  }

  #period({ pick }: Choices): number {
    return pick([1, 2, 3, 10, 200, 0, 201]);
  }

  #entry({ pick, rarely }: Choices): BytesSpec {
    if (rarely(25)) return pick<BytesSpec>([{ unmapped: 4 }, { crossing: 9 }, { readOnly: 4 }]);
    return pick<BytesSpec>(['01', '0203', { zeros: 8 }, { zeros: 40 }, '', { null: 3 }]);
  }

  #output({ pick, rarely }: Choices): BytesSpec {
    if (rarely(25)) return pick<BytesSpec>([{ readOnly: 8 }, { unmapped: 8 }, null]);
    return { room: pick([64, 8, 0, 16]) };
  }

  #pubkey({ pick }: Choices): BytesSpec {
    return pick<BytesSpec>([{ address: 'w' }, { address: 'x' }, { address: 'v' }, null]);
  }

  /** An id: mostly of the right kind, whoever owns it and whether it is still there. */
  #id({ pick, rarely }: Choices, kind: Kind): NumberSpec {
    const of = rarely(15) ? [...this.#given.timer, ...this.#given.watcher, ...this.#given.ring] : this.#given[kind];
    if (of.length === 0 || rarely(20)) return pick([0, 1, 1 << 20]);
    return { id: pick(of.slice(-5).reverse()) };
  }

  #name(kind: Kind): string {
    const name = `${kind}-${this.#names++}`;
    this.#given[kind].push(name);
    return name;
  }

  /** Account states from elsewhere; only of accounts to which no program writes, or of an unchanged length. */
  #update({ pick, rarely }: Choices): Step {
    const updates = Array.from({ length: pick([1, 1, 2, 3]) }, () => {
      const address = pick(WATCHED);
      const data =
        address === 'x'
          ? pick(['00000000000000000000000000000000', '01000000000000000100000000000000', '02000000000000000300000000000000'])
          : pick(['0000000000000000', '0100000000000000', '02000000000000000200000000000000', '01', '', 'ffffffffffffffff']);
      const update = {
        address,
        lamports: address === 'x' ? 10_000_000 : pick([5, 6, 0]),
        owner: address === 'x' ? 'a' : pick(['a', 'b']),
        data,
      };
      return rarely(3) ? { ...update, writeVersion: pick([1, 2, 3, 4]) } : update;
    });
    return { host: 'updateAccounts', args: { updates } };
  }

  #host(c: Choices): Step {
    const { pick, rarely } = c;
    const program = rarely(12) ? 'q' : pick(PROGRAMS);
    const callback = () => ({
      programId: program,
      accounts: pick([ACCOUNTS[pick(PROGRAMS)], [], ['w', 'w', 'w', 'w', 'w', 'w']]),
      data: this.#data(c, HOST),
      computeBudget: this.#budget(c),
    });
    const created = (kind: Kind, host: string, args: object): Step => ({
      host,
      args: args as Record<string, unknown>,
      as: this.#name(kind),
    });
    const priority = () => (rarely(2) ? {} : { priority: pick(['LOW', 'NORMAL', 'HIGH', 'CRITICAL']) });
    return pick<() => Step>([
      () =>
        created('timer', 'timers.create', {
          ...callback(),
          triggerSlot: this.#ahead(c),
          ...priority(),
          ...(rarely(3) && { deadlineSlot: { slot: pick([4, 1, 2]) } }),
        }),
      () =>
        created('timer', 'timers.createPeriodic', {
          ...callback(),
          startSlot: this.#ahead(c),
          periodSlots: this.#period(c),
          ...priority(),
          catchUp: pick(['ONCE', 'ALL', 'SKIP']),
          maxTicks: pick([2, 16, 1]),
        }),
      () => ({ host: 'timers.cancel', args: { id: this.#id(c, 'timer') } }),
      () =>
        created('watcher', 'watchers.create', {
          ...callback(),
          account: pick(WATCHED),
          ...this.#trigger(c),
          ...priority(),
          minSlotsBetweenTriggers: pick([1, 3, 0]),
        }),
      () => ({
        host: pick(['watchers.pause', 'watchers.resume', 'watchers.remove', 'watchers.pause']),
        args: { id: this.#id(c, 'watcher') },
      }),
      () => ({ host: 'watchers.setMinSlots', args: { id: this.#id(c, 'watcher'), minSlotsBetweenTriggers: pick([1, 4, 0]) } }),
      () =>
        created('ring', 'rings.create', {
          programId: program,
          ...(rarely(2) && { size: pick([128, 64, 10]) }),
          reader: pick(['program', 'host', 'host']),
        }),
      () => ({ host: 'rings.push', args: { id: this.#id(c, 'ring'), data: pick(['01', '0203', '']) } }),
      () => ({ host: pick(['rings.pop', 'rings.peek', 'rings.get']), args: { id: this.#id(c, 'ring') } }),
      () => ({ host: 'rings.drain', args: { id: this.#id(c, 'ring'), max: pick([10, 1, 0]) } }),
      () => ({ host: 'rings.setState', args: { id: this.#id(c, 'ring'), state: pick(['ACTIVE', 'DRAINING', 'PAUSED', 'CLOSED']) } }),
      () => ({ host: 'rings.grant', args: { id: this.#id(c, 'ring'), programId: pick(PROGRAMS), rights: pick([3, 1, 2, 0]) } }),
      () => ({ host: 'rings.destroy', args: { id: this.#id(c, 'ring') } }),
      () => ({
        host: 'tasks.submit',
        args: { ...callback(), ...priority(), ...(rarely(3) && { deadlineSlot: { slot: pick([2, 1, 0]) } }) },
      }),
      () => ({ host: pick(['removeProgram', 'addProgram', 'addProgram']), args: { address: pick(PROGRAMS) } }),
      () => account('y', { lamports: pick([10_000_000, 20_000_000]), owner: 'a', data: pick(['0000000000000000', '0100000000000000']) }),
      () => (rarely(10) ? { host: 'drain' } : { host: 'stats' }),
    ])();
  }

  /** Tasks that leave no room for others in a slot or two. */
  #crowd({ pick }: Choices): Step[] {
    const args = { programId: 'a', data: '00', computeBudget: pick([60_000, 130_000]), priority: pick(['CRITICAL', 'HIGH']) };
    return Array<Step>(pick([1, 2, 3])).fill({ host: 'tasks.submit', args });
  }

  /** A watcher and a deadline timer whose callbacks are likely to be queued for more than a slot, and what the host may do meanwhile. */
  #backlog(c: Choices): Step[] {
    const { pick } = c;
    const callback = { programId: 'b', data: '00', computeBudget: UNITS };
    const [timer, watcher] = [this.#name('timer'), this.#name('watcher')];
    const change = (data: string): Step => ({
      host: 'updateAccounts',
      args: { updates: [{ address: 'w', lamports: 5, owner: 'a', data }] },
    });
    return [
      { host: 'timers.create', args: { ...callback, triggerSlot: { slot: 1 }, deadlineSlot: { slot: pick([1, 2]) } }, as: timer },
      { host: 'watchers.create', args: { ...callback, account: 'w', trigger: 'ANY_CHANGE' }, as: watcher },
      ...this.#crowd(c),
      change(pick(['11', '12'])),
      { processSlot: 1 },
      { host: pick(['watchers.remove', 'watchers.pause', 'stats']), args: { id: { id: watcher } } },
      change('13'),
      { host: pick(['watchers.resume', 'stats']), args: { id: { id: watcher } } },
      { processSlot: 1 },
      { processSlot: 1 },
    ];
  }

  /** One more than a ring buffer can have. */
  #grants(c: Choices): Step[] {
    const id = this.#id(c, 'ring');
    return Array.from({ length: 65 }, (_, index) => ({ host: 'rings.grant', args: { id, programId: `friend-${index}`, rights: 1 } }));
  }

  #trigger({ pick }: Choices): object {
    return pick<object>([
      { trigger: 'ANY_CHANGE' },
      { trigger: 'LAMPORT_CHANGE' },
      { trigger: 'DATA_CHANGE' },
      { trigger: 'OWNER_CHANGE' },
      { trigger: 'THRESHOLD_ABOVE', threshold: pick([1, 0, -1]), offset: pick([0, 8]) },
      { trigger: 'THRESHOLD_BELOW', threshold: pick([1, 2, 0]), offset: pick([0, 8]) },
      { trigger: 'PATTERN_MATCH', pattern: pick(['01', '0200', '']), offset: pick([0, 8]) },
    ]);
  }
}

/** More than the calls of one invocation may take. */
const FLOOD: Invocation = {
  invoke: 'a',
  calls: [{ call: 'sol_ring_buffer_push', args: { buffer_id: 7, data: { stack: 262_144 } }, repeat: 33 }],
  units: 100_000,
  computeBudget: 100_000,
};

/** The accounts of an invocation, some of them its own and some writable, and at last the program that it can call. */
const ACCOUNTS: Record<string, NonNullable<Invocation['accounts']>> = {
  a: [
    { address: 'x', isWritable: true },
    { address: 'y', isWritable: true, isSigner: true },
    { address: 'p', isWritable: true },
    { address: 'r', isWritable: true },
    'b',
  ],
  b: [{ address: 'z', isWritable: true }, { address: 'y', isWritable: true }, { address: 'r', isWritable: true }, 'x', 'a'],
};
