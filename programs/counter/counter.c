/* counter: counts its calls and, when asked to, keeps calling itself.
 *
 * Account 0, writable, owned by this program: a u64, the count.
 * Instruction data: empty or byte 0 = count; byte 1 = count, and do the same again in the next slot. */

#include <sol_async.h>
#include <solana.h>

#define AGAIN 1
#define COMPUTE_BUDGET 5000

uint64_t entrypoint(const uint8_t *input) {
    SolAccountInfo account;
    SolParameters params = {.ka = &account};
    sol_deserialize(input, &params, 1);
    if (params.ka_num < 1) return ERROR_NOT_ENOUGH_ACCOUNT_KEYS;
    if (account.data_len < sizeof(uint64_t)) return ERROR_ACCOUNT_DATA_TOO_SMALL;

    *(uint64_t *)account.data += 1;

    if (params.data_len > 0 && params.data[0] == AGAIN) {
        /* The callback gets these accounts and this data again, so every call arms the next. */
        uint64_t timer = sol_timer_create(sol_get_slot() + 1, params.data, params.data_len, COMPUTE_BUDGET);
        if (timer == 0) return sol_async_last_error();
    }
    return SUCCESS;
}
