/* conformance: makes the calls that its instruction data lists, and returns what they returned.
 *
 * A test written in any language can so drive the real syscalls of the real runtime, one by one or many in a row.
 *
 * Instruction data: one byte of flags, what they add, then any number of records. Numbers are little-endian.
 *
 *     flags    bit 0: when all calls are made, fail with custom error 7 (ERROR_REQUESTED)
 *              bit 1: when all calls are made, loop for ever
 *              bit 2: `units` follows
 *     units    u64, only with bit 2. When all calls are made, idle so that the whole invocation, from its first
 *              instruction to its last and with what it invoked, uses exactly so many compute units. One that has
 *              used more by then ends at once; one whose budget is less runs out of it.
 *     record   opcode u8, then its arguments in the order of the table below:
 *     n        a number: u64
 *     i        an id: u64; 0xFFFFFFFFFFFFFF00 + k stands for the value that record k of this instruction gave
 *     b        bytes: kind u8, length u64, and what the kind adds. The call gets an address and this length, or, where
 *              it takes no length (an address of an account, a struct), the address alone.
 *                kind 0  address 0; nothing follows
 *                kind 1  the address of the `length` bytes that follow here
 *                kind 2  any address: u64 follows
 *                kind 3  the next free part of a scratch buffer of 16,384 bytes; nothing follows. It starts at
 *                        SCRATCH_ADDRESS for each record, and is writable. More than is left is not refused here.
 *
 * Return data: for each record the value u64, the error u32 and the charge u32. The error is what
 * sol_async_last_error() says right after the call; the charge is how many compute units the call itself took, without
 * any instruction of this program. Both are 0 for the calls from 32 on, which are not async-bpf's. Where the table says
 * "+", a length u64 and that many bytes follow: what the call wrote. Return data is set before the program idles, fails
 * or loops because of a flag.
 *
 *     opcode  arguments  call                                             arguments in words
 *          1  nbn        sol_timer_create                                 trigger slot, data, budget
 *          2  nnbn       sol_timer_create_periodic                        start slot, period, data, budget
 *          3  nnnnnnbn   sol_timer_create_with                            trigger slot, period, deadline, catch-up,
 *                                                                         max ticks, priority, data, budget
 *          4  i          sol_timer_cancel                                 timer
 *          5  bnbn       sol_watcher_create                               address, trigger type, data, budget
 *          6  bnnnbn     sol_watcher_create_threshold                     address, trigger type, offset, threshold,
 *                                                                         data, budget
 *          7  bnbbn      sol_watcher_create_pattern                       address, offset, pattern, data, budget
 *          8  in         sol_watcher_set_min_slots                        watcher, slots
 *          9  i          sol_watcher_remove                               watcher
 *         10  n          sol_ring_buffer_create                           size
 *         11  ib         sol_ring_buffer_push                             buffer, data
 *         12  ib       + sol_ring_buffer_pop                              buffer, output
 *         13  ib       + sol_ring_buffer_peek                             buffer, output
 *         14  ibn        sol_ring_buffer_grant                            buffer, address, rights
 *         15  i          sol_ring_buffer_destroy                          buffer
 *         16  bnnn       sol_task_schedule                                data, budget, priority, deadline
 *         17             sol_get_slot
 *         18             sol_async_last_error
 *         19  b        + sol_async_context                                output
 *         20  b          sol_timer_create_with, struct as given           SolTimerParams
 *         21  b          sol_watcher_create_threshold, struct as given    SolWatcherThresholdParams
 *         22  b          sol_watcher_create_pattern, struct as given      SolWatcherPatternParams
 *         23  b          sol_task_schedule, struct as given               SolTaskParams
 *         32  b          sol_log_                                         message
 *         33  nnb        writes bytes to an account's data                account index, offset, bytes
 *         34  nnn        moves lamports                                   from index, to index, amount
 *         35  nnnb     + sol_invoke_signed_c                              index of the program, of the first account,
 *                                                                         number of accounts, data
 *         36  nn         sets the length of an account's data             account index, length
 *
 * 33, 34 and 36 judge nothing but the indices: what is not allowed, the runtime must notice. 35 passes the accounts with
 * the signer and writable flags that they have here, and its "+" is the callee's return data.
 *
 * A record that cannot be read, or an answer for which there is no room, ends the program with one of the custom errors
 * below, and with that undoes what it did. */

#include <sol_async.h>
#include <solana.h>

enum {
    ERROR_TRUNCATED = 1,         /* instruction data ends inside a record, or before the first */
    ERROR_UNKNOWN_OPCODE = 2,
    ERROR_UNKNOWN_KIND = 3,      /* of bytes */
    ERROR_RETURN_DATA_FULL = 4,  /* more than 1,024 bytes */
    ERROR_ACCOUNT_INDEX = 5,     /* no such account */
    ERROR_TOO_MANY_ACCOUNTS = 6, /* more than 128 */
    ERROR_REQUESTED = 7,         /* flags, bit 0 */
};

enum { FLAG_FAIL = 1, FLAG_LOOP = 2, FLAG_UNITS = 4 };

enum {
    TIMER_CREATE = 1,
    TIMER_CREATE_PERIODIC,
    TIMER_CREATE_WITH,
    TIMER_CANCEL,
    WATCHER_CREATE,
    WATCHER_CREATE_THRESHOLD,
    WATCHER_CREATE_PATTERN,
    WATCHER_SET_MIN_SLOTS,
    WATCHER_REMOVE,
    RING_BUFFER_CREATE,
    RING_BUFFER_PUSH,
    RING_BUFFER_POP,
    RING_BUFFER_PEEK,
    RING_BUFFER_GRANT,
    RING_BUFFER_DESTROY,
    TASK_SCHEDULE,
    GET_SLOT,
    ASYNC_LAST_ERROR,
    ASYNC_CONTEXT,
    TIMER_CREATE_WITH_STRUCT,
    WATCHER_CREATE_THRESHOLD_STRUCT,
    WATCHER_CREATE_PATTERN_STRUCT,
    TASK_SCHEDULE_STRUCT,
    FIRST_OTHER = 32,
    LOG = FIRST_OTHER,
    WRITE_ACCOUNT,
    MOVE_LAMPORTS,
    INVOKE,
    RESIZE_ACCOUNT,
    OPCODES,
};

/* How the arguments become what the call gets in its registers, in this order. Beside the letters of the head:
 *
 *     a   bytes, as b, of which the call gets the address alone
 *     s   takes nothing from the instruction data: the call gets the address of a struct, whose words are all that
 *         follows */
static const char ARGUMENTS[OPCODES][10] = {
    [TIMER_CREATE] = "nbn",
    [TIMER_CREATE_PERIODIC] = "nnbn",
    [TIMER_CREATE_WITH] = "snnnnnnbn",
    [TIMER_CANCEL] = "i",
    [WATCHER_CREATE] = "anbn",
    [WATCHER_CREATE_THRESHOLD] = "sannnbn",
    [WATCHER_CREATE_PATTERN] = "sanbbn",
    [WATCHER_SET_MIN_SLOTS] = "in",
    [WATCHER_REMOVE] = "i",
    [RING_BUFFER_CREATE] = "n",
    [RING_BUFFER_PUSH] = "ib",
    [RING_BUFFER_POP] = "ib",
    [RING_BUFFER_PEEK] = "ib",
    [RING_BUFFER_GRANT] = "ian",
    [RING_BUFFER_DESTROY] = "i",
    [TASK_SCHEDULE] = "sbnnn",
    [ASYNC_CONTEXT] = "b",
    [TIMER_CREATE_WITH_STRUCT] = "a",
    [WATCHER_CREATE_THRESHOLD_STRUCT] = "a",
    [WATCHER_CREATE_PATTERN_STRUCT] = "a",
    [TASK_SCHEDULE_STRUCT] = "a",
    [LOG] = "b",
    [WRITE_ACCOUNT] = "nnb",
    [MOVE_LAMPORTS] = "nnn",
    [INVOKE] = "nnnb",
    [RESIZE_ACCOUNT] = "nn",
};

#define MAX_ACCOUNTS 128
#define MAX_RECORDS (MAX_RETURN_DATA / 16)
#define MAX_WORDS 10 /* of arguments of one record: at most the address of a struct, and 9 in it */
#define FIRST_REFERENCE 0xFFFFFFFFFFFFFF00

/* What is too big for a stack frame, or has to be where assembly finds it, lives on the heap, which is all zeros when
 * the program starts. */
#define HEAP_ADDRESS 0x300000000
#define SCRATCH_ADDRESS (HEAP_ADDRESS + 16384)

typedef struct {
    uint64_t units; /* that the invocation is to use; 0 = as few as it can */
    SolAccountInfo accounts[MAX_ACCOUNTS];
    SolAccountMeta metas[MAX_ACCOUNTS];
    uint64_t values[MAX_RECORDS]; /* what each record gave */
    uint8_t answer[MAX_RETURN_DATA];
} Heap;

_Static_assert(sizeof(Heap) <= SCRATCH_ADDRESS - HEAP_ADDRESS, "the scratch buffer must not overlap");

#define heap ((Heap *)HEAP_ADDRESS)

typedef struct {
    const uint8_t *at, *end; /* what is left of the instruction data */
    uint64_t accounts;
    uint64_t records;
    uint64_t answer_len;
    uint64_t words[MAX_WORDS]; /* arguments of the current record, laid out as ARGUMENTS says */
} State;

static uint64_t read_u64(State *state, uint64_t *value) {
    if (state->end - state->at < 8) return ERROR_TRUNCATED;
    *value = sol_load_u64(state->at);
    state->at += 8;
    return SUCCESS;
}

static uint64_t read_bytes(State *state, uint64_t *scratch, uint64_t *address, uint64_t *length) {
    if (state->at == state->end) return ERROR_TRUNCATED;
    uint8_t kind = *state->at++;
    uint64_t error = read_u64(state, length);
    if (error != SUCCESS) return error;

    switch (kind) {
        case 0:
            *address = 0;
            return SUCCESS;
        case 1:
            if (*length > (uint64_t)(state->end - state->at)) return ERROR_TRUNCATED;
            *address = (uint64_t)state->at;
            state->at += *length;
            return SUCCESS;
        case 2:
            return read_u64(state, address);
        case 3:
            *address = *scratch;
            *scratch += *length;
            return SUCCESS;
        default:
            return ERROR_UNKNOWN_KIND;
    }
}

static uint64_t read_arguments(State *state, const char *arguments) {
    uint64_t scratch = SCRATCH_ADDRESS;
    for (uint64_t *word = state->words; *arguments != 0; arguments++, word++) {
        uint64_t error = SUCCESS, length, record;
        switch (*arguments) {
            case 's':
                *word = (uint64_t)(word + 1);
                break;
            case 'a':
                error = read_bytes(state, &scratch, word, &length);
                break;
            case 'b':
                error = read_bytes(state, &scratch, word, word + 1);
                word++;
                break;
            case 'i':
                error = read_u64(state, word);
                record = *word - FIRST_REFERENCE;
                if (record < state->records) *word = heap->values[record];
                break;
            default:
                error = read_u64(state, word);
        }
        if (error != SUCCESS) return error;
    }
    return SUCCESS;
}

static uint64_t answer(State *state, const void *bytes, uint64_t length) {
    if (length > MAX_RETURN_DATA - state->answer_len) return ERROR_RETURN_DATA_FULL;
    sol_memcpy(heap->answer + state->answer_len, bytes, length);
    state->answer_len += length;
    return SUCCESS;
}

static uint64_t answer_bytes(State *state, const void *bytes, uint64_t length) {
    uint64_t error = answer(state, &length, sizeof(length));
    if (error != SUCCESS || length == 0) return error;
    return answer(state, bytes, length);
}

static uint64_t answer_value(State *state, uint64_t value, uint64_t error, uint64_t charge) {
    uint64_t pair[2] = {value, error | charge << 32};
    if (state->records == MAX_RECORDS) return ERROR_RETURN_DATA_FULL;
    heap->values[state->records++] = value;
    return answer(state, pair, sizeof(pair));
}

static uint64_t write_log(State *state) {
    sol_log_((const char *)state->words[0], state->words[1]);
    return answer_value(state, 0, 0, 0);
}

static uint64_t write_account(State *state) {
    const uint64_t *w = state->words;
    if (w[0] >= state->accounts) return ERROR_ACCOUNT_INDEX;
    uint8_t *to = heap->accounts[w[0]].data + w[1];
    const uint8_t *from = (const uint8_t *)w[2];
    for (uint64_t i = 0; i < w[3]; i++) to[i] = from[i];
    return answer_value(state, 0, 0, 0);
}

static uint64_t move_lamports(State *state) {
    const uint64_t *w = state->words;
    if (w[0] >= state->accounts || w[1] >= state->accounts) return ERROR_ACCOUNT_INDEX;
    *heap->accounts[w[0]].lamports -= w[2];
    *heap->accounts[w[1]].lamports += w[2];
    return answer_value(state, 0, 0, 0);
}

static uint64_t resize_account(State *state) {
    const uint64_t *w = state->words;
    if (w[0] >= state->accounts) return ERROR_ACCOUNT_INDEX;
    /* In the program's input, the length lies before the data. */
    ((uint64_t *)heap->accounts[w[0]].data)[-1] = w[1];
    return answer_value(state, 0, 0, 0);
}

static uint64_t invoke(State *state) {
    const uint64_t *w = state->words;
    uint64_t program = w[0], first = w[1], count = w[2];
    if (program >= state->accounts || first > state->accounts || count > state->accounts - first) {
        return ERROR_ACCOUNT_INDEX;
    }
    for (uint64_t i = 0; i < count; i++) {
        const SolAccountInfo *account = &heap->accounts[first + i];
        heap->metas[i] = (SolAccountMeta){account->key, account->is_writable, account->is_signer};
    }
    const SolInstruction instruction = {
        heap->accounts[program].key, heap->metas, count, (uint8_t *)w[3], w[4],
    };
    uint64_t value = sol_invoke_signed_c(&instruction, heap->accounts, (int)state->accounts, NULL, 0);

    uint64_t error = answer_value(state, value, 0, 0);
    if (error != SUCCESS) return error;
    uint8_t *returned = (uint8_t *)SCRATCH_ADDRESS;
    SolPubkey returned_by;
    return answer_bytes(state, returned, sol_get_return_data(returned, MAX_RETURN_DATA, &returned_by));
}

/* ---- Units ----
 *
 * An instruction takes 1 compute unit, and how many the compiler makes of a line of C is its own affair. Where the
 * number must be known, the code is assembly. A reading of the meter takes READING_COST and gives what is left then. */

uint64_t sol_remaining_compute_units(void);
#define sol_remaining_compute_units SOL_SYSCALL(sol_remaining_compute_units, 0xedef5aee)

#define READING_COST 100

/* A syscall as an operand of `call`. */
#define NUMBER(syscall) "i"((int32_t)(uint64_t)(syscall))

/* Calls `syscall` with r1 to r5 from `registers`, whether it takes as many or not. Stores what it returns in `value`,
 * and in `units` what was used from the first reading to the second. That includes OVERHEAD: the 9 instructions behind
 * the first reading, of which the last is the second one, and what that takes. */
#define OVERHEAD (9 + READING_COST)
#define METERED(syscall)                                                                 \
    __asm__ volatile(                                                                    \
        "call %[reading]\n"                                                              \
        "%[units] = r0\n"                                                                \
        "r1 = *(u64 *)(%[registers] + 0)\n"                                              \
        "r2 = *(u64 *)(%[registers] + 8)\n"                                              \
        "r3 = *(u64 *)(%[registers] + 16)\n"                                             \
        "r4 = *(u64 *)(%[registers] + 24)\n"                                             \
        "r5 = *(u64 *)(%[registers] + 32)\n"                                             \
        "call %[number]\n"                                                               \
        "%[value] = r0\n"                                                                \
        "call %[reading]\n"                                                              \
        "%[units] -= r0\n"                                                               \
        : [value] "=&r"(value), [units] "=&r"(units)                                     \
        : [registers] "r"(registers), [number] NUMBER(syscall),                          \
          [reading] NUMBER(sol_remaining_compute_units)                                  \
        : "r0", "r1", "r2", "r3", "r4", "r5", "memory")

/* Makes an async call and answers with what it returned, what error it left and what it charged. */
static uint64_t call(State *state, uint8_t opcode, uint64_t *returned) {
    const uint64_t *registers = state->words;
    uint64_t value, units;
    switch (opcode) {
        case TIMER_CREATE:
            METERED(sol_timer_create);
            break;
        case TIMER_CREATE_PERIODIC:
            METERED(sol_timer_create_periodic);
            break;
        case TIMER_CREATE_WITH:
        case TIMER_CREATE_WITH_STRUCT:
            METERED(sol_timer_create_with);
            break;
        case TIMER_CANCEL:
            METERED(sol_timer_cancel);
            break;
        case WATCHER_CREATE:
            METERED(sol_watcher_create);
            break;
        case WATCHER_CREATE_THRESHOLD:
        case WATCHER_CREATE_THRESHOLD_STRUCT:
            METERED(sol_watcher_create_threshold_params);
            break;
        case WATCHER_CREATE_PATTERN:
        case WATCHER_CREATE_PATTERN_STRUCT:
            METERED(sol_watcher_create_pattern_params);
            break;
        case WATCHER_SET_MIN_SLOTS:
            METERED(sol_watcher_set_min_slots);
            break;
        case WATCHER_REMOVE:
            METERED(sol_watcher_remove);
            break;
        case RING_BUFFER_CREATE:
            METERED(sol_ring_buffer_create);
            break;
        case RING_BUFFER_PUSH:
            METERED(sol_ring_buffer_push);
            break;
        case RING_BUFFER_POP:
            METERED(sol_ring_buffer_pop);
            break;
        case RING_BUFFER_PEEK:
            METERED(sol_ring_buffer_peek);
            break;
        case RING_BUFFER_GRANT:
            METERED(sol_ring_buffer_grant);
            break;
        case RING_BUFFER_DESTROY:
            METERED(sol_ring_buffer_destroy);
            break;
        case TASK_SCHEDULE:
        case TASK_SCHEDULE_STRUCT:
            METERED(sol_task_schedule_params);
            break;
        case GET_SLOT:
            METERED(sol_get_slot);
            break;
        case ASYNC_LAST_ERROR:
            METERED(sol_async_last_error);
            break;
        case ASYNC_CONTEXT:
            METERED(sol_async_context);
            break;
        default:
            return ERROR_UNKNOWN_OPCODE;
    }
    *returned = value;
    return answer_value(state, value, sol_async_last_error(), units - OVERHEAD);
}

static uint64_t run_record(State *state) {
    uint8_t opcode = *state->at++;
    if (opcode >= OPCODES) return ERROR_UNKNOWN_OPCODE;
    uint64_t error = read_arguments(state, ARGUMENTS[opcode]);
    if (error != SUCCESS) return error;

    switch (opcode) {
        case LOG:
            return write_log(state);
        case WRITE_ACCOUNT:
            return write_account(state);
        case MOVE_LAMPORTS:
            return move_lamports(state);
        case INVOKE:
            return invoke(state);
        case RESIZE_ACCOUNT:
            return resize_account(state);
        default:
            break;
    }
    const uint64_t *w = state->words;
    uint64_t value;
    error = call(state, opcode, &value);
    if (error != SUCCESS) return error;
    switch (opcode) {
        case RING_BUFFER_POP:
        case RING_BUFFER_PEEK:
            return answer_bytes(state, (const void *)w[1], value);
        case ASYNC_CONTEXT:
            return answer_bytes(state, (const void *)w[0], value);
        default:
            return SUCCESS;
    }
}

static uint64_t run(const uint8_t *input) {
    SolParameters params = {.ka = heap->accounts};
    sol_deserialize(input, &params, MAX_ACCOUNTS);
    if (params.ka_num > MAX_ACCOUNTS) return ERROR_TOO_MANY_ACCOUNTS;
    if (params.data_len < 1) return ERROR_TRUNCATED;

    uint8_t flags = params.data[0];
    State state = {
        .at = params.data + 1,
        .end = params.data + params.data_len,
        .accounts = params.ka_num,
    };
    uint64_t units = 0;
    if (flags & FLAG_UNITS) {
        uint64_t error = read_u64(&state, &units);
        if (error != SUCCESS) return error;
    }
    while (state.at < state.end) {
        uint64_t error = run_record(&state);
        if (error != SUCCESS) return error;
    }
    sol_set_return_data(heap->answer, state.answer_len);

    if (flags & FLAG_LOOP) {
        for (;;) {
        }
    }
    heap->units = units;
    return flags & FLAG_FAIL ? ERROR_REQUESTED : SUCCESS;
}

/* Runs, and then idles until heap->units are used. BEFORE is what the instructions up to the first reading take, with
 * it; AFTER is those behind the second one, when there is nothing to idle away. A round of the loop takes 2 units; the
 * instruction behind it is for the 1 that an odd number leaves. */
#define BEFORE (2 + READING_COST)
#define AFTER 11
__attribute__((naked)) uint64_t entrypoint(__attribute__((unused)) const uint8_t *input) {
    __asm__ volatile(
        "r6 = r1\n"
        "call %[reading]\n"
        "r7 = r0\n"
        "r1 = r6\n"
        "call %[run]\n"
        "r6 = r0\n"
        "call %[reading]\n"
        "r7 -= r0\n"
        "r7 += %[before_and_after]\n" /* what is used without idling */
        "r1 = %[units] ll\n"
        "r1 = *(u64 *)(r1 + 0)\n"
        "if r1 >= r7 goto 1f\n"
        "r1 = r7\n"
        "1: r1 -= r7\n" /* what to idle away */
        "goto 3f\n"
        "2: r1 -= 2\n"
        "3: if r1 > 1 goto 2b\n"
        "if r1 == 0 goto 4f\n"
        "r1 = 0\n"
        "4: r0 = r6\n"
        "exit\n"
        :
        : [reading] NUMBER(sol_remaining_compute_units), [run] "i"(run), [units] "i"(&heap->units),
          [before_and_after] "i"(BEFORE + AFTER));
}
