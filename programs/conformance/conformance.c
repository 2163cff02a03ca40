/* conformance: makes the calls that its instruction data lists, and returns what they returned.
 *
 * A test written in any language can so drive the real syscalls of the real runtime, one by one or many in a row.
 *
 * Instruction data: one byte of flags, then any number of records. Numbers are little-endian.
 *
 *     flags    bit 0: when all calls are made, fail with custom error 7 (ERROR_REQUESTED)
 *              bit 1: when all calls are made, loop for ever
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
 * Return data: for each record the value u64, then the error u64. The error is what sol_async_last_error() says right
 * after the call, and 0 for the calls from 32 on, which are not async-bpf's. Where the table says "+", a length u64 and
 * that many bytes follow: what the call wrote. Return data is set before the program fails or loops because of a flag.
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
 *
 * 33 and 34 judge nothing but the indices: what is not allowed, the runtime must notice. 35 passes the accounts with
 * the signer and writable flags that they have here, and its "+" is the callee's return data.
 *
 * A record that cannot be read, or an answer for which there is no room, ends the program with one of the custom errors
 * below, and with that undoes what it did. */

#include <sol_async.h>
#include <solana.h>

enum {
    ERROR_TRUNCATED = 1,         /* instruction data ends inside a record, or has no flags */
    ERROR_UNKNOWN_OPCODE = 2,
    ERROR_UNKNOWN_KIND = 3,      /* of bytes */
    ERROR_RETURN_DATA_FULL = 4,  /* more than 1,024 bytes */
    ERROR_ACCOUNT_INDEX = 5,     /* no such account */
    ERROR_TOO_MANY_ACCOUNTS = 6, /* more than 128 */
    ERROR_REQUESTED = 7,         /* flags, bit 0 */
};

enum { FLAG_FAIL = 1, FLAG_LOOP = 2 };

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
    OPCODES,
};

static const char ARGUMENTS[OPCODES][9] = {
    [TIMER_CREATE] = "nbn",
    [TIMER_CREATE_PERIODIC] = "nnbn",
    [TIMER_CREATE_WITH] = "nnnnnnbn",
    [TIMER_CANCEL] = "i",
    [WATCHER_CREATE] = "bnbn",
    [WATCHER_CREATE_THRESHOLD] = "bnnnbn",
    [WATCHER_CREATE_PATTERN] = "bnbbn",
    [WATCHER_SET_MIN_SLOTS] = "in",
    [WATCHER_REMOVE] = "i",
    [RING_BUFFER_CREATE] = "n",
    [RING_BUFFER_PUSH] = "ib",
    [RING_BUFFER_POP] = "ib",
    [RING_BUFFER_PEEK] = "ib",
    [RING_BUFFER_GRANT] = "ibn",
    [RING_BUFFER_DESTROY] = "i",
    [TASK_SCHEDULE] = "bnnn",
    [ASYNC_CONTEXT] = "b",
    [TIMER_CREATE_WITH_STRUCT] = "b",
    [WATCHER_CREATE_THRESHOLD_STRUCT] = "b",
    [WATCHER_CREATE_PATTERN_STRUCT] = "b",
    [TASK_SCHEDULE_STRUCT] = "b",
    [LOG] = "b",
    [WRITE_ACCOUNT] = "nnb",
    [MOVE_LAMPORTS] = "nnn",
    [INVOKE] = "nnnb",
};

#define MAX_ACCOUNTS 128
#define MAX_RECORDS (MAX_RETURN_DATA / 16)
#define MAX_WORDS 9 /* of arguments of one record; bytes take two */
#define FIRST_REFERENCE 0xFFFFFFFFFFFFFF00

/* What is too big for a stack frame lives on the heap, which is all zeros when the program starts. */
#define HEAP_ADDRESS 0x300000000
#define SCRATCH_ADDRESS (HEAP_ADDRESS + 16384)

typedef struct {
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
    uint64_t words[MAX_WORDS]; /* arguments of the current record: numbers, and bytes as address and length */
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
    uint64_t *word = state->words;
    for (; *arguments != 0; arguments++) {
        bool is_bytes = *arguments == 'b';
        uint64_t error = is_bytes ? read_bytes(state, &scratch, &word[0], &word[1]) : read_u64(state, word);
        if (error != SUCCESS) return error;
        if (*arguments == 'i') {
            uint64_t record = *word - FIRST_REFERENCE;
            if (record < state->records) *word = heap->values[record];
        }
        word += is_bytes ? 2 : 1;
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

static uint64_t answer_value(State *state, uint8_t opcode, uint64_t value) {
    uint64_t pair[2] = {value, opcode < FIRST_OTHER ? sol_async_last_error() : 0};
    if (state->records == MAX_RECORDS) return ERROR_RETURN_DATA_FULL;
    heap->values[state->records++] = value;
    return answer(state, pair, sizeof(pair));
}

static uint64_t write_account(State *state) {
    const uint64_t *w = state->words;
    if (w[0] >= state->accounts) return ERROR_ACCOUNT_INDEX;
    uint8_t *to = heap->accounts[w[0]].data + w[1];
    const uint8_t *from = (const uint8_t *)w[2];
    for (uint64_t i = 0; i < w[3]; i++) to[i] = from[i];
    return answer_value(state, WRITE_ACCOUNT, 0);
}

static uint64_t move_lamports(State *state) {
    const uint64_t *w = state->words;
    if (w[0] >= state->accounts || w[1] >= state->accounts) return ERROR_ACCOUNT_INDEX;
    *heap->accounts[w[0]].lamports -= w[2];
    *heap->accounts[w[1]].lamports += w[2];
    return answer_value(state, MOVE_LAMPORTS, 0);
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

    uint64_t error = answer_value(state, INVOKE, value);
    if (error != SUCCESS) return error;
    uint8_t *returned = (uint8_t *)SCRATCH_ADDRESS;
    SolPubkey returned_by;
    return answer_bytes(state, returned, sol_get_return_data(returned, MAX_RETURN_DATA, &returned_by));
}

static uint64_t call_syscall(uint8_t opcode, const uint64_t *w, uint64_t *value) {
#define AT(word) ((void *)(word))
    switch (opcode) {
        case TIMER_CREATE:
            *value = sol_timer_create(w[0], AT(w[1]), w[2], w[3]);
            return SUCCESS;
        case TIMER_CREATE_PERIODIC:
            *value = sol_timer_create_periodic(w[0], w[1], AT(w[2]), w[3], w[4]);
            return SUCCESS;
        case TIMER_CREATE_WITH:
            /* The nine words are the struct, in its order. */
            *value = sol_timer_create_with((const SolTimerParams *)w);
            return SUCCESS;
        case TIMER_CANCEL:
            *value = sol_timer_cancel(w[0]);
            return SUCCESS;
        case WATCHER_CREATE:
            *value = sol_watcher_create(AT(w[0]), w[2], AT(w[3]), w[4], w[5]);
            return SUCCESS;
        case WATCHER_CREATE_THRESHOLD:
            *value = sol_watcher_create_threshold(AT(w[0]), w[2], w[3], (int64_t)w[4], AT(w[5]), w[6], w[7]);
            return SUCCESS;
        case WATCHER_CREATE_PATTERN:
            *value = sol_watcher_create_pattern(AT(w[0]), w[2], AT(w[3]), w[4], AT(w[5]), w[6], w[7]);
            return SUCCESS;
        case WATCHER_SET_MIN_SLOTS:
            *value = sol_watcher_set_min_slots(w[0], w[1]);
            return SUCCESS;
        case WATCHER_REMOVE:
            *value = sol_watcher_remove(w[0]);
            return SUCCESS;
        case RING_BUFFER_CREATE:
            *value = sol_ring_buffer_create(w[0]);
            return SUCCESS;
        case RING_BUFFER_PUSH:
            *value = sol_ring_buffer_push(w[0], AT(w[1]), w[2]);
            return SUCCESS;
        case RING_BUFFER_POP:
            *value = sol_ring_buffer_pop(w[0], AT(w[1]), w[2]);
            return SUCCESS;
        case RING_BUFFER_PEEK:
            *value = sol_ring_buffer_peek(w[0], AT(w[1]), w[2]);
            return SUCCESS;
        case RING_BUFFER_GRANT:
            *value = sol_ring_buffer_grant(w[0], AT(w[1]), w[3]);
            return SUCCESS;
        case RING_BUFFER_DESTROY:
            *value = sol_ring_buffer_destroy(w[0]);
            return SUCCESS;
        case TASK_SCHEDULE:
            *value = sol_task_schedule(AT(w[0]), w[1], w[2], w[3], w[4]);
            return SUCCESS;
        case GET_SLOT:
            *value = sol_get_slot();
            return SUCCESS;
        case ASYNC_LAST_ERROR:
            *value = sol_async_last_error();
            return SUCCESS;
        case ASYNC_CONTEXT:
            *value = sol_async_context(AT(w[0]), w[1]);
            return SUCCESS;
        case TIMER_CREATE_WITH_STRUCT:
            *value = sol_timer_create_with(AT(w[0]));
            return SUCCESS;
        case WATCHER_CREATE_THRESHOLD_STRUCT:
            *value = sol_watcher_create_threshold_params(AT(w[0]));
            return SUCCESS;
        case WATCHER_CREATE_PATTERN_STRUCT:
            *value = sol_watcher_create_pattern_params(AT(w[0]));
            return SUCCESS;
        case TASK_SCHEDULE_STRUCT:
            *value = sol_task_schedule_params(AT(w[0]));
            return SUCCESS;
        case LOG:
            sol_log_(AT(w[0]), w[1]);
            *value = 0;
            return SUCCESS;
        default:
            return ERROR_UNKNOWN_OPCODE;
    }
#undef AT
}

static uint64_t run_record(State *state) {
    uint8_t opcode = *state->at++;
    if (opcode >= OPCODES) return ERROR_UNKNOWN_OPCODE;
    uint64_t error = read_arguments(state, ARGUMENTS[opcode]);
    if (error != SUCCESS) return error;

    switch (opcode) {
        case WRITE_ACCOUNT:
            return write_account(state);
        case MOVE_LAMPORTS:
            return move_lamports(state);
        case INVOKE:
            return invoke(state);
        default:
            break;
    }
    const uint64_t *w = state->words;
    uint64_t value;
    error = call_syscall(opcode, w, &value);
    if (error != SUCCESS) return error;
    error = answer_value(state, opcode, value);
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

uint64_t entrypoint(const uint8_t *input) {
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
    while (state.at < state.end) {
        uint64_t error = run_record(&state);
        if (error != SUCCESS) return error;
    }
    sol_set_return_data(heap->answer, state.answer_len);

    if (flags & FLAG_LOOP) {
        for (;;) {
        }
    }
    return flags & FLAG_FAIL ? ERROR_REQUESTED : SUCCESS;
}
