import { toObject } from './arguments.js';
import { CALLBACK_KEYS, optionalU64, toCallback, toPriority } from './callbacks.js';
import type { Connection } from './connection.js';
import { ErrorCode, Priority } from './constants.js';
import { AsyncBpfError } from './errors.js';
import type { Outcomes } from './slots.js';
import type { Outcome, TaskHandle, TaskOptions } from './types.js';
import { Call, Writer } from './wire.js';

/** Tasks that the host submits. */
export class Tasks {
  readonly #connection: Connection;
  readonly #submitted = new Map<bigint, Submitted>();

  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Queues one invocation for the next slot. While {@link AsyncBpfEngine.processSlotAsync} has one under way, the task is handed in when that
   * is over: it has no id until then, and when it is refused, with QUEUE_FULL for instance, `outcome` rejects.
   *
   * Throws UNKNOWN_PROGRAM, INVALID_ARGUMENT, INVALID_SLOT for a deadline that has passed, QUEUE_FULL, SHUTDOWN.
   *
   * @see docs/conformance.md#tasks.submit
   */
  submit(options: TaskOptions): TaskHandle {
    const { priority, deadlineSlot } = toObject(options, 'options', [...CALLBACK_KEYS, 'priority', 'deadlineSlot']);
    const callback = toCallback(options, this.#connection.defaultBudget);
    const queue = toPriority(priority, Priority.NORMAL);
    const deadline = optionalU64(deadlineSlot, 'deadlineSlot');
    const request = Writer.call('host', Call.TaskSchedule).callback(callback).u8(queue);
    request.option(deadline, (slot) => request.u64(slot));
    const task = new Submitted();
    const schedule = () => {
      task.id = this.#connection.request(request).u64();
      this.#submitted.set(task.id, task);
    };
    if (!this.#connection.isElsewhere) {
      schedule();
      return task;
    }
    this.#connection.assertOpen();
    this.#connection.afterSlot(() => {
      try {
        schedule();
      } catch (error) {
        task.fail(error as AsyncBpfError);
      }
    });
    return task;
  }

  /** @internal Settles the tasks that a slot ran. */
  settle(outcomes: Outcomes): void {
    if (this.#submitted.size === 0) return;
    outcomes.forEachTask((id, read) => {
      this.#submitted.get(id)?.settle(read);
      this.#submitted.delete(id);
    });
  }

  /** @internal */
  close(): void {
    for (const task of this.#submitted.values()) task.fail(notRun(task.id));
    this.#submitted.clear();
  }
}

interface Settle {
  resolve(outcome: Outcome): void;
  reject(error: AsyncBpfError): void;
}

/**
 * The promise is only made when somebody asks for it: one that nobody holds must not end the process by rejecting. The outcome is only decoded
 * when somebody waits for it.
 */
class Submitted implements TaskHandle {
  #id: bigint | undefined;
  #result: (() => Outcome) | AsyncBpfError | undefined;
  #promise: (Settle & { outcome: Promise<Outcome> }) | undefined;

  get id(): bigint {
    if (this.#id !== undefined) return this.#id;
    // It was refused, and will never have one.
    if (this.#result instanceof AsyncBpfError) throw this.#result;
    throw new AsyncBpfError(
      ErrorCode.ENGINE_BUSY,
      'the task has no id before the slot is over that is being processed; wait for that slot',
    );
  }

  set id(id: bigint) {
    this.#id = id;
  }

  get outcome(): Promise<Outcome> {
    if (this.#promise) return this.#promise.outcome;
    if (this.#result instanceof AsyncBpfError) return Promise.reject(this.#result);
    let settle!: Settle;
    const outcome = new Promise<Outcome>((resolve, reject) => (settle = { resolve, reject }));
    this.#promise = { outcome, ...settle };
    if (this.#result) settle.resolve(this.#result());
    return outcome;
  }

  settle(read: () => Outcome): void {
    if (this.#promise) this.#promise.resolve(read());
    else this.#result = read;
  }

  fail(error: AsyncBpfError): void {
    this.#result = error;
    this.#promise?.reject(error);
  }
}

function notRun(id: bigint): AsyncBpfError {
  return new AsyncBpfError(ErrorCode.SHUTDOWN, `the engine was closed before task ${id} ran; close it after the slot that runs it`);
}
