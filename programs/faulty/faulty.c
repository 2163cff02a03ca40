/* faulty: goes wrong in the way that the first byte of the instruction data names.
 *
 *  0  succeeds
 *  1  returns custom error 42
 *  2  loops for ever
 *  3  writes to address 0
 *  4  creates a timer for the next slot, pushes 8 bytes to a ring buffer, adds 1 to the first byte of account 0,
 *     then loops for ever. Data: the ring buffer's id, u64
 *  5  the same, then returns custom error 42
 *  6  recurses deeper than the runtime allows
 *  7  calls an address that is not code
 *  8  adds 1 to the first byte of account 0, whether that is writable or not
 *  9  lowers the lamports of account 0 by 1 and gives them to nobody
 * 10  moves lamports from account 0 to account 1. Data: the amount, u64
 *
 * Any other byte, or data or accounts that are missing: custom error 43. In 4 and 5, a timer that cannot be created:
 * custom error 44; an entry that cannot be pushed: custom error 45. */

#include <sol_async.h>
#include <solana.h>

enum {
    ERROR_AS_ASKED = 42,
    ERROR_MALFORMED = 43,
    ERROR_TIMER = 44,
    ERROR_PUSH = 45,
};

static void loop_for_ever(void) {
    for (;;) {
    }
}

static __attribute__((noinline)) uint64_t recurse(uint64_t depth) {
    if (depth == 0) return 0;
    uint64_t result = recurse(depth - 1);
    /* Work after the call, so that the compiler cannot turn the recursion into a loop. */
    __asm__ volatile("" : "+r"(result));
    return result;
}

static uint64_t leave_traces(uint64_t ring_id, uint8_t *data) {
    if (sol_timer_create(sol_get_slot() + 1, NULL, 0, 1000) == 0) return ERROR_TIMER;
    if (sol_ring_buffer_push(ring_id, &ring_id, sizeof(ring_id)) != SOL_ASYNC_SUCCESS) return ERROR_PUSH;
    data[0] += 1;
    return SUCCESS;
}

uint64_t entrypoint(const uint8_t *input) {
    SolAccountInfo accounts[2];
    SolParameters params = {.ka = accounts};
    sol_deserialize(input, &params, 2);
    if (params.data_len < 1) return ERROR_MALFORMED;

    uint8_t fault = params.data[0];
    bool needs_account = fault == 4 || fault == 5 || fault >= 8;
    if (needs_account && params.ka_num < (fault == 10 ? 2 : 1)) return ERROR_MALFORMED;
    bool needs_number = fault == 4 || fault == 5 || fault == 10;
    if (needs_number && params.data_len < 9) return ERROR_MALFORMED;
    uint64_t number = needs_number ? sol_load_u64(params.data + 1) : 0;

    switch (fault) {
        case 0:
            return SUCCESS;
        case 1:
            return ERROR_AS_ASKED;
        case 2:
            loop_for_ever();
            return SUCCESS;
        case 3:
            *(volatile uint64_t *)0 = 1;
            return SUCCESS;
        case 4:
        case 5: {
            uint64_t error = leave_traces(number, accounts[0].data);
            if (error != SUCCESS) return error;
            if (fault == 4) loop_for_ever();
            return ERROR_AS_ASKED;
        }
        case 6:
            return recurse(1000);
        case 7: {
            uint64_t (*function)(void) = (uint64_t (*)(void))(uint64_t)0x300000000; /* the heap */
            /* Keeps it a call through a register; a call to a constant would be a syscall. */
            __asm__ volatile("" : "+r"(function));
            return function();
        }
        case 8:
            accounts[0].data[0] += 1;
            return SUCCESS;
        case 9:
            *accounts[0].lamports -= 1;
            return SUCCESS;
        case 10:
            *accounts[0].lamports -= number;
            *accounts[1].lamports += number;
            return SUCCESS;
        default:
            return ERROR_MALFORMED;
    }
}
