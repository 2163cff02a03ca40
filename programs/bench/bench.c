/* bench: what the benchmarks run. It calls nothing that is async-bpf's, so other runtimes run it too.
 *
 * Account 0, writable, owned by this program, and account 1 are numbers: u64, one after the other.
 * Instruction data: byte 0 = tiny: adds the first number of account 1, and the slot, to that of account 0;
 * byte 1 = kilobyte: adds 128 numbers of account 1 to those of account 0;
 * byte 2 = invoke: has account 2, which is this program at the address that owns account 0, do what byte 0 does. */

#include <solana.h>

typedef struct {
    uint64_t slot;
    int64_t epoch_start_timestamp;
    uint64_t epoch;
    uint64_t leader_schedule_epoch;
    int64_t unix_timestamp;
} Clock;

uint64_t sol_get_clock_sysvar(Clock *clock);
#define sol_get_clock_sysvar SOL_SYSCALL(sol_get_clock_sysvar, 0xd56b5fe9)

enum { TINY, KILOBYTE, INVOKE };

#define MAX_ACCOUNTS 3
#define NUMBERS (1024 / sizeof(uint64_t))

static uint64_t tiny(const SolAccountInfo *accounts) {
    Clock clock;
    uint64_t error = sol_get_clock_sysvar(&clock);
    *(uint64_t *)accounts[0].data += *(const uint64_t *)accounts[1].data + clock.slot;
    return error;
}

static uint64_t kilobyte(const SolAccountInfo *accounts) {
    uint64_t *to = (uint64_t *)accounts[0].data;
    const uint64_t *from = (const uint64_t *)accounts[1].data;
    for (uint64_t i = 0; i < NUMBERS; i++) to[i] += from[i];
    return SUCCESS;
}

static uint64_t invoke(const SolAccountInfo *accounts) {
    SolAccountMeta metas[] = {{accounts[0].key, true, false}, {accounts[1].key, false, false}};
    uint8_t data = TINY;
    const SolInstruction instruction = {accounts[2].key, metas, 2, &data, sizeof(data)};
    return sol_invoke_signed_c(&instruction, accounts, MAX_ACCOUNTS, NULL, 0);
}

uint64_t entrypoint(const uint8_t *input) {
    SolAccountInfo accounts[MAX_ACCOUNTS];
    SolParameters params = {.ka = accounts};
    sol_deserialize(input, &params, MAX_ACCOUNTS);
    if (params.data_len < 1) return ERROR_INVALID_INSTRUCTION_DATA;
    uint8_t what = params.data[0];
    uint64_t length = what == KILOBYTE ? NUMBERS * sizeof(uint64_t) : sizeof(uint64_t);
    if (params.ka_num < (what == INVOKE ? 3 : 2)) return ERROR_NOT_ENOUGH_ACCOUNT_KEYS;
    if (accounts[0].data_len < length || accounts[1].data_len < length) return ERROR_ACCOUNT_DATA_TOO_SMALL;

    switch (what) {
        case TINY:
            return tiny(accounts);
        case KILOBYTE:
            return kilobyte(accounts);
        case INVOKE:
            return invoke(accounts);
        default:
            return ERROR_INVALID_INSTRUCTION_DATA;
    }
}
