/** Replies of the addon as the objects of the public API. */

import { addressString } from './arguments.js';
import { CatchUp, SourceKind, WatcherTrigger, type ErrorCode, type Priority, type RingState, type TimerState } from './constants.js';
import { errorName } from './errors.js';
import type {
  AccountInfo,
  AccountMetaInfo,
  Address,
  Ending,
  GapEvent,
  Outcome,
  OutcomeError,
  OutcomeEvent,
  RingEntry,
  RingInfo,
  SlotEvent,
  Source,
  Stats,
  TimerInfo,
  WatcherInfo,
} from './types.js';
import type { Reader } from './wire.js';

const SOURCE_KINDS = Object.keys(SourceKind).map((name) => name.toLowerCase() as Source['kind']);
const STATUSES = ['committed', 'failed', 'expired'] as const;
const READERS = ['program', 'host'] as const;

export function address(reader: Reader): Address {
  return addressString(reader.raw(32));
}

export function hex(reader: Reader): string {
  return Buffer.from(reader.raw(32)).toString('hex');
}

export function account(reader: Reader, addressBytes: Uint8Array): AccountInfo | undefined {
  return reader.option(() => ({
    address: addressString(addressBytes),
    lamports: reader.u64(),
    data: reader.bytes(),
    owner: address(reader),
    executable: reader.bool(),
  }));
}

function callback(reader: Reader) {
  const programId = address(reader);
  const data = reader.bytes();
  const accounts = reader.list((): AccountMetaInfo => ({ address: address(reader), isSigner: reader.bool(), isWritable: reader.bool() }));
  return { programId, data, accounts, computeBudget: reader.u64() };
}

export function timer(reader: Reader): TimerInfo {
  const id = reader.u64();
  const { programId, data, accounts, computeBudget } = callback(reader);
  reader.u64(); // start slot
  const periodSlots = reader.option(() => reader.u64());
  const deadlineSlot = reader.option(() => reader.u64());
  // Catch-up: its bound follows in one variant.
  if (reader.u8() === CatchUp.ALL) reader.u64();
  const priority = reader.u8() as Priority;
  return {
    id,
    programId,
    ...timerMode(periodSlots, deadlineSlot),
    triggerSlot: reader.u64(),
    state: reader.u8() as TimerState,
    executionCount: reader.u64(),
    missedCount: reader.u64(),
    data,
    accounts,
    computeBudget,
    priority,
  };
}

function timerMode(periodSlots: bigint | undefined, deadlineSlot: bigint | undefined) {
  if (periodSlots !== undefined) return { mode: 'periodic', periodSlots } as const;
  if (deadlineSlot !== undefined) return { mode: 'deadline', periodSlots: 0n, deadlineSlot } as const;
  return { mode: 'one-shot', periodSlots: 0n } as const;
}

export function watcher(reader: Reader): WatcherInfo {
  const id = reader.u64();
  const { programId, data, accounts, computeBudget } = callback(reader);
  const watched = address(reader);
  const condition = watcherCondition(reader);
  const priority = reader.u8() as Priority;
  const active = reader.bool();
  const minSlotsBetweenTriggers = reader.u64();
  const triggerCount = reader.u64();
  const suppressedCount = reader.u64();
  const lastTriggerSlot = reader.option(() => reader.u64());
  return {
    id,
    programId,
    account: watched,
    ...condition,
    active,
    triggerCount,
    suppressedCount,
    ...(lastTriggerSlot === undefined ? {} : { lastTriggerSlot }),
    minSlotsBetweenTriggers,
    data,
    accounts,
    computeBudget,
    priority,
  };
}

function watcherCondition(reader: Reader) {
  const trigger = reader.u8() as WatcherTrigger;
  switch (trigger) {
    case WatcherTrigger.THRESHOLD_ABOVE:
    case WatcherTrigger.THRESHOLD_BELOW:
      return { trigger, offset: reader.u64(), threshold: reader.i64() };
    case WatcherTrigger.PATTERN_MATCH:
      return { trigger, offset: reader.u64(), pattern: reader.bytes() };
    default:
      return { trigger };
  }
}

export function ring(reader: Reader): RingInfo {
  return {
    id: reader.u64(),
    owner: address(reader),
    capacity: reader.u64(),
    used: reader.u64(),
    entries: reader.u64(),
    state: reader.u8() as RingState,
    reader: READERS[reader.u8()]!,
    nextSequence: reader.u64(),
  };
}

export function ringEntry(reader: Reader): RingEntry {
  return { sequence: reader.u64(), slot: reader.u64(), data: reader.bytes() };
}

export function source(kind: number, id: bigint): Source {
  return { kind: SOURCE_KINDS[kind]!, id };
}

export function outcome(reader: Reader): Outcome {
  const taskId = reader.u64();
  const programId = address(reader);
  const from = source(reader.u8(), reader.u64());
  const end = ending(reader);
  const unitsConsumed = reader.u64();
  const logs = reader.list(() => reader.string());
  const returnData = reader.option(() => reader.bytes());
  const stagedCodes = reader.list(() => reader.u8() as ErrorCode);
  return {
    taskId,
    programId,
    source: from,
    ...end,
    unitsConsumed,
    logs,
    ...(returnData === undefined ? {} : { returnData }),
    stagedCodes,
  };
}

/** The addon has an error exactly for what failed. */
function ending(reader: Reader): Ending {
  const status = STATUSES[reader.u8()]!;
  const error = reader.option(() => outcomeError(reader));
  return status === 'failed' ? { status, error: error! } : { status };
}

function outcomeError(reader: Reader): OutcomeError {
  const code = reader.u8() as ErrorCode;
  const reason = reader.string();
  const message = reader.string();
  const customCode = reader.option(() => reader.u32());
  return { code, name: errorName(code), message, reason, ...(customCode === undefined ? {} : { customCode }) };
}

export function outcomeEvent(reader: Reader): OutcomeEvent {
  const slot = reader.u64();
  const taskId = reader.u64();
  const programId = address(reader);
  const from = source(reader.u8(), reader.u64());
  const end = ending(reader);
  const unitsConsumed = reader.u64();
  return { type: 'outcome', slot, taskId, programId, source: from, ...end, unitsConsumed };
}

export function slotEvent(reader: Reader): SlotEvent {
  return {
    type: 'slot',
    slot: reader.u64(),
    timersFired: reader.u64(),
    watchersTriggered: reader.u64(),
    tasksQueued: reader.u64(),
    unitsConsumed: reader.u64(),
    stateHash: hex(reader),
  };
}

export function gapEvent(reader: Reader): GapEvent {
  return { type: 'gap', missed: reader.u64() };
}

export function stats(reader: Reader): Stats {
  return {
    timersCreated: reader.u64(),
    timersActive: reader.u64(),
    timersFired: reader.u64(),
    watchersCreated: reader.u64(),
    watchersActive: reader.u64(),
    watchersTriggered: reader.u64(),
    watchersSuppressed: reader.u64(),
    ringsActive: reader.u64(),
    tasksSubmitted: reader.u64(),
    tasksCompleted: reader.u64(),
    tasksFailed: reader.u64(),
    tasksExpired: reader.u64(),
    tasksPending: reader.u64(),
    unitsConsumed: reader.u64(),
    slotsProcessed: reader.u64(),
  };
}
