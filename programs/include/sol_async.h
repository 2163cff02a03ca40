/* sol_async.h: timers, watchers, ring buffers and tasks for Solana programs. ABI version 1.
 *
 * A callback is an ordinary invocation of the program's entrypoint. Its instruction data is the `data` given at
 * creation, byte for byte. Its accounts are those of the instruction that was running at creation, in the same order,
 * with the signer flags cleared. It has at most `compute_budget` units.
 *
 * What holds for every call:
 *
 * - Units. 100 are charged before anything else, and 1 more for every 250 bytes of data moved.
 * - Checks come in this order: units, pointers, lengths, values, limits; the first that fails names the error.
 * - Pointers. Address 0 with a length other than 0 is NULL_POINTER. An address outside the program's memory ends the
 *   program with an access violation. `data` may be NULL when `data_len` is 0.
 * - Results. Calls that create return an id, which is never 0, or 0 on failure; sol_async_last_error() then tells the
 *   code. Calls marked "code" return SOL_ASYNC_SUCCESS (0) or the error code itself.
 * - Staging. Effects become real only when the whole invocation succeeds. One that fails or runs out of units leaves
 *   nothing behind. Within the invocation the program sees its own effects.
 * - Ownership. What is created belongs to the program whose code makes the call; in a cross-program invocation that
 *   is the callee. The id of another program's object is reported exactly like one that does not exist.
 * - An engine that is draining takes nothing new: creating fails with SHUTDOWN.
 * - The calls of one invocation may take 8 MiB, arguments included; more are refused with QUEUE_FULL.
 *
 * The limits named below are the defaults; a host can set others. Integers are little-endian.
 * Freestanding C11; needs sol_async_constants.h and sol_syscall.h beside it and nothing else. */

#ifndef SOL_ASYNC_H
#define SOL_ASYNC_H

#include <stdint.h>

#include "sol_async_constants.h"
#include "sol_syscall.h"

/* ---- Slot, errors, context ---- */

/** The current slot. Costs 100 units and cannot fail.
 * Vectors: docs/conformance.md#sol_get_slot. */
uint64_t sol_get_slot(void);

/** The code of the most recent call of this header by this program in this invocation, sol_get_slot() aside;
 * SOL_ASYNC_SUCCESS when there was none. In a cross-program invocation, caller and callee have each their own.
 *
 * Read it right after a call that returned 0; reading does not change it. Costs 100 units and cannot fail.
 * Vectors: docs/conformance.md#sol_async_last_error. */
uint64_t sol_async_last_error(void);

/** Why a callback runs; filled by sol_async_context(). */
typedef struct {
    uint64_t version;      /* 1 */
    uint64_t kind;         /* SOL_ASYNC_KIND_TIMER, _WATCHER or _TASK */
    uint64_t source_id;    /* id of the timer, watcher or task */
    uint64_t trigger_type; /* SOL_ASYNC_TRIGGER_*; 0 unless kind is _WATCHER */
    uint64_t priority;     /* SOL_ASYNC_PRIORITY_* under which it runs */
    uint64_t attempt;      /* 1 */
    uint64_t due_slot;     /* the slot in which it was due */
    uint64_t current_slot; /* what sol_get_slot() returns */
    uint64_t ticks;        /* how many ticks or triggers this callback stands for */
    uint8_t account[32];   /* the watched account; zero unless kind is _WATCHER */
    int64_t old_value;     /* at the threshold's offset, before the change */
    int64_t new_value;     /* the same, after it */
    uint64_t value_flags;  /* SOL_ASYNC_VALUE_*: which of the two are there (threshold watchers only) */
} SolAsyncContext;

#define SOL_ASYNC_VALUE_OLD 1
#define SOL_ASYNC_VALUE_NEW 2

/** Writes a SolAsyncContext to `out` and returns its size, 128.
 *
 * Returns 0 in every invocation that is not a top-level callback of the engine: this is how a program knows that a call
 * really came from the engine, and not from a transaction or another program. It is not an error. Costs 100 units.
 * Errors: NULL_POINTER; OUTPUT_TOO_SMALL when `out_len` is below 128 (returns 0, writes nothing).
 * Vectors: docs/conformance.md#sol_async_context. */
uint64_t sol_async_context(void *out, uint64_t out_len);

/* ---- Timers ---- */

/** Calls this program back once, in the first processed slot that is at or past `trigger_slot`.
 *
 * Returns the timer's id or 0. Costs 100 units + data_len / 250.
 * Errors: NULL_POINTER; INVALID_ARGUMENT when `data_len` exceeds 1,024 or `compute_budget` is outside [1, 1,400,000];
 * INVALID_SLOT unless `trigger_slot` is 1 to 1,000,000 slots ahead; MAX_TIMERS when 16 timers of the program are live.
 * A timer that has finished or was cancelled frees its place at once.
 * Vectors: docs/conformance.md#sol_timer_create. */
uint64_t sol_timer_create(uint64_t trigger_slot, const void *data, uint64_t data_len, uint64_t compute_budget);

/** Calls this program back at `start_slot` and every `period_slots` after it, until it is cancelled.
 *
 * The grid is fixed: start + k * period. When the host skips slots, the callback runs once and stands for all ticks
 * that passed (`ticks` in its context). A callback that fails leaves the timer armed.
 * Returns, units and errors as sol_timer_create(); INVALID_SLOT also unless `period_slots` is in [1, 1,000,000].
 * Vectors: docs/conformance.md#sol_timer_create_periodic. */
uint64_t sol_timer_create_periodic(uint64_t start_slot, uint64_t period_slots, const void *data, uint64_t data_len,
                                   uint64_t compute_budget);

/** Every option of a timer. Zero in all but the slot and the budget means: once, no deadline, no data, priority LOW. */
typedef struct {
    uint64_t trigger_slot;   /* the first slot in which it is due */
    uint64_t period_slots;   /* slots between ticks; 0 = fires once */
    uint64_t deadline_slot;  /* the last slot in which it may still run, then it expires; 0 = none; not for periodic */
    uint64_t catch_up;       /* SOL_ASYNC_CATCH_UP_*: what a periodic timer does about skipped slots:
                                ONCE fires once for all, ALL fires for each, SKIP fires only in slots of the grid */
    uint64_t max_ticks;      /* with CATCH_UP_ALL: callbacks in one slot, [1, 64]; the last stands for the rest */
    uint64_t priority;       /* SOL_ASYNC_PRIORITY_*; the shorter calls use _NORMAL */
    uint64_t data;           /* address of the callback data */
    uint64_t data_len;
    uint64_t compute_budget;
} SolTimerParams;

/** Creates a timer with every option in view.
 *
 * Returns, units and errors as sol_timer_create_periodic(); NULL_POINTER also when `params` is 0; INVALID_ARGUMENT also
 * for an unknown `catch_up` or `priority`, for `max_ticks` out of range, and for a deadline on a periodic timer;
 * INVALID_SLOT also when the deadline is before the trigger slot.
 * Vectors: docs/conformance.md#sol_timer_create_with. */
uint64_t sol_timer_create_with(const SolTimerParams *params);

/** Cancels a live timer; a timer may cancel itself from its own callback.
 *
 * Returns a code. Costs 100 units.
 * Error: INVALID_TIMER when it does not exist, has finished, or is another program's.
 * Vectors: docs/conformance.md#sol_timer_cancel. */
uint64_t sol_timer_cancel(uint64_t timer_id);

/* ---- Watchers ----
 *
 * A watcher compares an account as it was before a slot with what it is after the slot's updates, fires at most once a
 * slot, and stays until it is removed. The watched account is appended, read-only, to the callback's accounts if it is
 * not among them. An absent account has 0 lamports, no data, and the system program as its owner. */

/** Calls this program back when the account changes: `trigger_type` is SOL_ASYNC_TRIGGER_ANY_CHANGE (lamports, data or
 * owner), _LAMPORT_CHANGE, _DATA_CHANGE or _OWNER_CHANGE.
 *
 * `pubkey` is the account's 32-byte address. Returns the watcher's id or 0. Costs 100 units + data_len / 250.
 * Errors: NULL_POINTER; INVALID_ARGUMENT for any other `trigger_type`, when `data_len` exceeds 1,024, or when
 * `compute_budget` is outside [1, 1,400,000]; MAX_WATCHERS when the program has 32 watchers.
 * Vectors: docs/conformance.md#sol_watcher_create. */
uint64_t sol_watcher_create(const uint8_t *pubkey, uint64_t trigger_type, const void *data, uint64_t data_len,
                            uint64_t compute_budget);

typedef struct {
    uint64_t pubkey; /* address of the 32 bytes */
    uint64_t trigger_type;
    uint64_t offset;
    int64_t threshold;
    uint64_t data; /* address of the callback data */
    uint64_t data_len;
    uint64_t compute_budget;
} SolWatcherThresholdParams;

uint64_t sol_watcher_create_threshold_params(const SolWatcherThresholdParams *params);

typedef struct {
    uint64_t pubkey; /* address of the 32 bytes */
    uint64_t offset;
    uint64_t pattern; /* address of the pattern */
    uint64_t pattern_len;
    uint64_t data; /* address of the callback data */
    uint64_t data_len;
    uint64_t compute_budget;
} SolWatcherPatternParams;

uint64_t sol_watcher_create_pattern_params(const SolWatcherPatternParams *params);

/** Sets the rate limit of a watcher: at least `n` slots from one trigger to the next. A new watcher has 1; triggers
 * that come too early are suppressed and counted.
 *
 * Returns a code. Costs 100 units. Errors: INVALID_WATCHER; INVALID_ARGUMENT unless `n` is in [1, 1,000,000].
 * Vectors: docs/conformance.md#sol_watcher_set_min_slots. */
uint64_t sol_watcher_set_min_slots(uint64_t watcher_id, uint64_t n);

/** Removes a watcher.
 *
 * Returns a code. Costs 100 units. Error: INVALID_WATCHER when it does not exist or is another program's.
 * Vectors: docs/conformance.md#sol_watcher_remove. */
uint64_t sol_watcher_remove(uint64_t watcher_id);

/* ---- Ring buffers ----
 *
 * A first-in first-out queue of entries of whole bytes. An entry takes a 24-byte header and its data rounded up to 8,
 * and fits exactly when that much of the buffer's size is free. The creator owns the buffer and may push and pop;
 * another program needs a grant. What programs create, programs read; a buffer that the host reads is created by the
 * host. */

/** Creates a ring buffer of `size` bytes, owned by this program.
 *
 * Returns its id or 0. Costs 100 units.
 * Errors: INVALID_ARGUMENT unless `size` is in [64, 1,048,576]; MAX_BUFFERS when the program owns 8.
 * Vectors: docs/conformance.md#sol_ring_buffer_create. */
uint64_t sol_ring_buffer_create(uint64_t size);

/** Appends one entry, whole or not at all; nothing is ever overwritten.
 *
 * Returns a code. Costs 100 units + data_len / 250.
 * Errors: NULL_POINTER; INVALID_ARGUMENT when `data_len` is 0; INVALID_BUFFER when the buffer does not exist or the
 * program may not write to it; BUFFER_NOT_ACTIVE when it is paused, draining or closed; BUFFER_FULL.
 * Vectors: docs/conformance.md#sol_ring_buffer_push. */
uint64_t sol_ring_buffer_push(uint64_t buffer_id, const void *data, uint64_t data_len);

/** Moves the oldest entry's data to `output` and removes the entry.
 *
 * Returns the number of bytes read, 0 if there is no entry. Costs 100 units, and 1 for every 250 bytes moved.
 * Errors: NULL_POINTER; INVALID_BUFFER when the buffer does not exist or the program may not read from it;
 * BUFFER_NOT_ACTIVE when its state forbids it; OUTPUT_TOO_SMALL when the entry is longer than `output_len`: it stays
 * where it is, and 0 is returned. An empty buffer is not an error: 0 with SOL_ASYNC_SUCCESS.
 * Vectors: docs/conformance.md#sol_ring_buffer_pop. */
uint64_t sol_ring_buffer_pop(uint64_t buffer_id, void *output, uint64_t output_len);

/** As sol_ring_buffer_pop(), but leaves the entry in the buffer. Units and errors are the same.
 * Vectors: docs/conformance.md#sol_ring_buffer_peek. */
uint64_t sol_ring_buffer_peek(uint64_t buffer_id, void *output, uint64_t output_len);

/** Lets another program use a buffer of this one: `rights` is SOL_ASYNC_RIGHT_READ (pop and peek), _WRITE (push), or
 * the sum of both.
 *
 * `program_pubkey` is the 32-byte program id. Returns a code. Costs 100 units.
 * Errors: NULL_POINTER; INVALID_ARGUMENT for other bits in `rights`, or for a 65th program; INVALID_BUFFER unless this
 * program owns it.
 * Vectors: docs/conformance.md#sol_ring_buffer_grant. */
uint64_t sol_ring_buffer_grant(uint64_t buffer_id, const uint8_t *program_pubkey, uint64_t rights);

/** Destroys a buffer of this program and the entries in it.
 *
 * Returns a code. Costs 100 units. Error: INVALID_BUFFER unless this program owns it.
 * Vectors: docs/conformance.md#sol_ring_buffer_destroy. */
uint64_t sol_ring_buffer_destroy(uint64_t buffer_id);

/* ---- Tasks ---- */

typedef struct {
    uint64_t data; /* address of the callback data */
    uint64_t data_len;
    uint64_t compute_budget;
    uint64_t priority;
    uint64_t deadline_slot;
} SolTaskParams;

uint64_t sol_task_schedule_params(const SolTaskParams *params);

/* ---- The numbers: murmur3-32 of each name, seed 0 (see sol_syscall.h); checked by build.mjs ---- */

#define sol_get_slot              SOL_SYSCALL(sol_get_slot, 0x9566e7f9)
#define sol_async_last_error      SOL_SYSCALL(sol_async_last_error, 0xda017e9f)
#define sol_async_context         SOL_SYSCALL(sol_async_context, 0x759fbc47)
#define sol_timer_create          SOL_SYSCALL(sol_timer_create, 0x66f78c55)
#define sol_timer_create_periodic SOL_SYSCALL(sol_timer_create_periodic, 0xb3658f99)
#define sol_timer_create_with     SOL_SYSCALL(sol_timer_create_with, 0x0650b995)
#define sol_timer_cancel          SOL_SYSCALL(sol_timer_cancel, 0xd5b0ffa0)
#define sol_watcher_create        SOL_SYSCALL(sol_watcher_create, 0x910e54ab)
#define sol_watcher_set_min_slots SOL_SYSCALL(sol_watcher_set_min_slots, 0x8ac48e03)
#define sol_watcher_remove        SOL_SYSCALL(sol_watcher_remove, 0xc37a969e)
#define sol_ring_buffer_create    SOL_SYSCALL(sol_ring_buffer_create, 0x3db2491b)
#define sol_ring_buffer_push      SOL_SYSCALL(sol_ring_buffer_push, 0x8cb24285)
#define sol_ring_buffer_pop       SOL_SYSCALL(sol_ring_buffer_pop, 0x5bfff840)
#define sol_ring_buffer_peek      SOL_SYSCALL(sol_ring_buffer_peek, 0xb6b4e5fe)
#define sol_ring_buffer_grant     SOL_SYSCALL(sol_ring_buffer_grant, 0x24ad2711)
#define sol_ring_buffer_destroy   SOL_SYSCALL(sol_ring_buffer_destroy, 0x5286eb8f)

#define sol_watcher_create_threshold_params \
    SOL_SYSCALL_AS(sol_watcher_create_threshold_params, sol_watcher_create_threshold, 0xd8d87e0a)
#define sol_watcher_create_pattern_params \
    SOL_SYSCALL_AS(sol_watcher_create_pattern_params, sol_watcher_create_pattern, 0x85925edc)
#define sol_task_schedule_params \
    SOL_SYSCALL_AS(sol_task_schedule_params, sol_task_schedule, 0x7635924d)

/* ---- Wide calls ----
 *
 * A syscall has five registers, so these pack their arguments into a struct on the stack and pass its address to the
 * syscall of the same name. */

/** Calls this program back when the little-endian i64 at `offset` of the account's data crosses `threshold`.
 *
 * SOL_ASYNC_TRIGGER_THRESHOLD_ABOVE fires when old <= threshold and new > threshold, _BELOW when old >= threshold and
 * new < threshold. An account that was absent or too short counts as not beyond, so appearing beyond it fires; one
 * that is too short now does not fire. The callback's context holds both values.
 * Returns the watcher's id or 0. Costs 100 units + data_len / 250.
 * Errors: as sol_watcher_create(); INVALID_ARGUMENT also when offset + 8 exceeds 2^64.
 * Vectors: docs/conformance.md#sol_watcher_create_threshold. */
static inline uint64_t sol_watcher_create_threshold(const uint8_t *pubkey, uint64_t trigger_type, uint64_t offset,
                                                    int64_t threshold, const void *data, uint64_t data_len,
                                                    uint64_t compute_budget) {
    const SolWatcherThresholdParams params = {
        (uint64_t)pubkey, trigger_type, offset, threshold, (uint64_t)data, data_len, compute_budget,
    };
    return sol_watcher_create_threshold_params(&params);
}

/** Calls this program back when the bytes at `offset` of the account's data equal `pattern` and did not before.
 *
 * Returns the watcher's id or 0. Costs 100 units, and 1 for every 250 bytes of pattern and data.
 * Errors: as sol_watcher_create(); INVALID_ARGUMENT also unless `pattern_len` is in [1, 64], or when
 * offset + pattern_len exceeds 2^64.
 * Vectors: docs/conformance.md#sol_watcher_create_pattern. */
static inline uint64_t sol_watcher_create_pattern(const uint8_t *pubkey, uint64_t offset, const void *pattern,
                                                  uint64_t pattern_len, const void *data, uint64_t data_len,
                                                  uint64_t compute_budget) {
    const SolWatcherPatternParams params = {
        (uint64_t)pubkey, offset, (uint64_t)pattern, pattern_len, (uint64_t)data, data_len, compute_budget,
    };
    return sol_watcher_create_pattern_params(&params);
}

/** Calls this program back in the next slot, at SOL_ASYNC_PRIORITY_* `priority`; if it has not run by `deadline_slot`
 * (0 = none) it expires.
 *
 * Returns the task's id or 0. Costs 100 units + data_len / 250.
 * Errors: NULL_POINTER; INVALID_ARGUMENT when `data_len` exceeds 1,024, `compute_budget` is outside [1, 1,400,000] or
 * `priority` is unknown; INVALID_SLOT when the deadline has passed; QUEUE_FULL when 1,024 tasks are pending.
 * Vectors: docs/conformance.md#sol_task_schedule. */
static inline uint64_t sol_task_schedule(const void *data, uint64_t data_len, uint64_t compute_budget,
                                         uint64_t priority, uint64_t deadline_slot) {
    const SolTaskParams params = {(uint64_t)data, data_len, compute_budget, priority, deadline_slot};
    return sol_task_schedule_params(&params);
}

_Static_assert(sizeof(SolAsyncContext) == 128, "SolAsyncContext is part of the ABI");
_Static_assert(sizeof(SolTimerParams) == 72, "SolTimerParams is part of the ABI");
_Static_assert(sizeof(SolWatcherThresholdParams) == 56, "SolWatcherThresholdParams is part of the ABI");
_Static_assert(sizeof(SolWatcherPatternParams) == 56, "SolWatcherPatternParams is part of the ABI");
_Static_assert(sizeof(SolTaskParams) == 40, "SolTaskParams is part of the ABI");

#endif
