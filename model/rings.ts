/** Ring buffers: queues of byte entries. */

import type { RingEntry, RingInfo, RingState } from '../dist/index.js';
import { rule } from './rules.js';
import { refuse } from './limits.js';
import { checkNotDraining, type Caller, type State } from './state.js';

const ACTIVE = 0;
const PAUSED = 1;
const CLOSED = 2;
const DRAINING = 3;

export const READ = 1n;
export const WRITE = 2n;
const MAX_GRANTS = 64;
const HEADER = 24n;

export interface Ring {
  readonly id: bigint;
  readonly owner: string;
  readonly capacity: bigint;
  readonly reader: 'program' | 'host';
  readonly state: RingState;
  readonly grants: ReadonlyMap<string, bigint>;
  /** Oldest first. The host has taken the first `taken` already; their space becomes free in the next slot. */
  readonly entries: readonly RingEntry[];
  readonly taken: number;
  readonly nextSequence: bigint;
}

const cost = (data: Uint8Array): bigint => HEADER + ((BigInt(data.length) + 7n) / 8n) * 8n;

const used = (ring: Ring): bigint => ring.entries.reduce((sum, entry) => sum + cost(entry.data), 0n);

export function createRing(state: State, caller: Caller, owner: string, size: bigint, reader: 'program' | 'host'): bigint {
  const { minRingBufferSize, maxRingBufferSize, maxRingBuffersPerProgram } = state.limits;
  if (!state.programs.has(owner) && rule('calls.host-unknown-program', 'ring')) refuse('UNKNOWN_PROGRAM');
  if ((size < minRingBufferSize || size > maxRingBufferSize) && rule('rings.create', 'size')) refuse('INVALID_ARGUMENT');
  checkNotDraining(state);
  const own = [...state.rings.values()].filter((ring) => ring.owner === owner);
  if (BigInt(own.length) >= maxRingBuffersPerProgram && rule('rings.max')) refuse('MAX_BUFFERS');
  const id = caller.newId();
  const ring: Ring = { id, owner, capacity: size, reader, state: ACTIVE, grants: new Map(), entries: [], taken: 0, nextSequence: 0n };
  state.rings.set(id, ring);
  return id;
}

function find(state: State, id: bigint): Ring {
  const ring = state.rings.get(id);
  if (ring === undefined) {
    rule('rings.invalid');
    refuse('INVALID_BUFFER');
  }
  return ring;
}

/** The buffer, if the caller may use it in this way; else it does not exist for it. */
function withRight(state: State, { programId }: Caller, id: bigint, right: bigint): Ring {
  const ring = find(state, id);
  if (programId === undefined) return ring;
  if (right === READ && ring.reader === 'host' && rule('rings.host-reader')) refuse('INVALID_BUFFER');
  if (programId === ring.owner && rule('rings.owner', 'owner')) return ring;
  if (((ring.grants.get(programId) ?? 0n) & right) === 0n && rule('rings.owner', 'no grant')) refuse('INVALID_BUFFER');
  rule('rings.owner', 'grant');
  return ring;
}

function owned(state: State, { programId }: Caller, id: bigint): Ring {
  const ring = find(state, id);
  if (programId !== undefined && programId !== ring.owner && rule('calls.foreign-id', 'ring')) refuse('INVALID_BUFFER');
  return ring;
}

function checkState(ring: Ring, allowed: readonly RingState[]): void {
  if (allowed.includes(ring.state)) return;
  if (ring.state === PAUSED) rule('rings.paused');
  if (ring.state === CLOSED) rule('rings.closed');
  if (ring.state === DRAINING) rule('rings.draining', 'push');
  refuse('BUFFER_NOT_ACTIVE');
}

export function push(state: State, caller: Caller, id: bigint, data: Uint8Array): void {
  if (data.length === 0 && rule('rings.empty-data')) refuse('INVALID_ARGUMENT');
  const ring = withRight(state, caller, id, WRITE);
  checkState(ring, [ACTIVE]);
  if (used(ring) + cost(data) > ring.capacity && rule('rings.full')) refuse('BUFFER_FULL');
  const entry = { sequence: ring.nextSequence, slot: state.slot, data: data.slice() };
  state.rings.set(id, { ...ring, entries: [...ring.entries, entry], nextSequence: ring.nextSequence + 1n });
}

/** The oldest entry, or nothing; of at most `room` bytes. */
export function peek(state: State, caller: Caller, id: bigint, room: bigint): Uint8Array | undefined {
  const ring = withRight(state, caller, id, READ);
  // Only the host gets here with a buffer that the host reads.
  if (ring.reader === 'program') checkState(ring, [ACTIVE, DRAINING]);
  const entry = ring.entries[ring.taken];
  if (entry === undefined) {
    rule('rings.pop', 'empty');
    return undefined;
  }
  if (BigInt(entry.data.length) > room && rule('rings.too-small')) refuse('OUTPUT_TOO_SMALL');
  return entry.data;
}

export function pop(state: State, caller: Caller, id: bigint, room: bigint): Uint8Array | undefined {
  const data = peek(state, caller, id, room);
  const ring = state.rings.get(id)!;
  if (data === undefined) return undefined;
  if (ring.reader === 'host') state.rings.set(id, { ...ring, taken: ring.taken + 1 });
  else state.rings.set(id, { ...ring, entries: ring.entries.slice(1) });
  return data;
}

export function drain(state: State, id: bigint, max: number): RingEntry[] {
  const ring = find(state, id);
  if (ring.reader !== 'host' && rule('rings.host-drain', 'not for the host')) refuse('INVALID_ARGUMENT');
  rule('rings.host-drain');
  const entries = ring.entries.slice(ring.taken, ring.taken + max);
  state.rings.set(id, { ...ring, taken: ring.taken + entries.length });
  return entries;
}

/** What the host has taken becomes free. */
export function sampleReads(state: State): void {
  for (const ring of state.rings.values()) {
    if (ring.taken > 0 && rule('rings.host-drain', 'freed')) {
      state.rings.set(ring.id, { ...ring, entries: ring.entries.slice(ring.taken), taken: 0 });
    }
  }
}

export function setRingState(state: State, id: bigint, to: RingState): void {
  state.rings.set(id, { ...find(state, id), state: to });
}

export function grant(state: State, caller: Caller, id: bigint, programId: string, rights: bigint): void {
  if (rights > (READ | WRITE) && rule('rings.grant', 'rights')) refuse('INVALID_ARGUMENT');
  const ring = owned(state, caller, id);
  const grants = new Map(ring.grants);
  if (rights === 0n) {
    rule('rings.grant', 'taken back');
    grants.delete(programId);
  } else {
    if (!grants.has(programId) && grants.size >= MAX_GRANTS && rule('rings.max-grants')) refuse('INVALID_ARGUMENT');
    grants.set(programId, rights);
  }
  state.rings.set(id, { ...ring, grants });
}

export function destroy(state: State, caller: Caller, id: bigint): void {
  owned(state, caller, id);
  state.rings.delete(id);
}

export function ringInfo(ring: Ring): RingInfo {
  const { id, owner, capacity, state, reader, nextSequence } = ring;
  return { id, owner, capacity, used: used(ring), entries: BigInt(ring.entries.length - ring.taken), state, reader, nextSequence };
}
