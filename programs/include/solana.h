/* solana.h: the part of the Solana C interface that the programs here use. The names are those of the ordinary SDK.
 * Freestanding C11; needs sol_syscall.h beside it and nothing else. */

#ifndef SOLANA_H
#define SOLANA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sol_syscall.h"

/* What entrypoint() returns: SUCCESS, a builtin error, or any other number below 2^32 as a custom error. */
#define SUCCESS 0
#define TO_BUILTIN(error) ((uint64_t)(error) << 32)
#define ERROR_INVALID_ARGUMENT TO_BUILTIN(2)
#define ERROR_INVALID_INSTRUCTION_DATA TO_BUILTIN(3)
#define ERROR_INVALID_ACCOUNT_DATA TO_BUILTIN(4)
#define ERROR_ACCOUNT_DATA_TOO_SMALL TO_BUILTIN(5)
#define ERROR_NOT_ENOUGH_ACCOUNT_KEYS TO_BUILTIN(11)

/* The bytes after an account's data into which it may grow. */
#define MAX_PERMITTED_DATA_INCREASE 10240

/* The most bytes that sol_set_return_data() takes. */
#define MAX_RETURN_DATA 1024

typedef struct {
    uint8_t x[32];
} SolPubkey;

/* An account of the running instruction. The pointers lead into the program's input and can be written through, as far
 * as the account allows. Also what a cross-program invocation takes, so the layout is the runtime's. */
typedef struct {
    SolPubkey *key;
    uint64_t *lamports;
    uint64_t data_len;
    uint8_t *data;
    SolPubkey *owner;
    uint64_t rent_epoch;
    bool is_signer;
    bool is_writable;
    bool executable;
} SolAccountInfo;

typedef struct {
    SolAccountInfo *ka; /* room for accounts, given by the caller of sol_deserialize() */
    uint64_t ka_num;    /* accounts of the instruction; may exceed that room */
    const uint8_t *data;
    uint64_t data_len;
    const SolPubkey *program_id;
} SolParameters;

typedef struct {
    SolPubkey *pubkey;
    bool is_writable;
    bool is_signer;
} SolAccountMeta;

typedef struct {
    SolPubkey *program_id;
    SolAccountMeta *accounts;
    uint64_t account_len;
    uint8_t *data;
    uint64_t data_len;
} SolInstruction;

typedef struct {
    const uint8_t *addr;
    uint64_t len;
} SolSignerSeed;

typedef struct {
    const SolSignerSeed *addr;
    uint64_t len;
} SolSignerSeeds;

/* What every program defines. `input` holds the accounts, the instruction data and the program id. */
uint64_t entrypoint(const uint8_t *input);

/* ---- Syscalls ---- */

void sol_log_(const char *message, uint64_t length);
void sol_log_64_(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
void sol_set_return_data(const uint8_t *bytes, uint64_t length);

/* Copies at most `length` bytes of what the last invoked program returned, stores who that was in `program_id`, and
 * returns how many bytes there are; 0 = none, and `program_id` is left as it is. */
uint64_t sol_get_return_data(uint8_t *bytes, uint64_t length, SolPubkey *program_id);

/* Invokes another program. A failure of the callee ends the caller too, so this returns only on success. */
uint64_t sol_invoke_signed_c(const SolInstruction *instruction, const SolAccountInfo *accounts, int accounts_len,
                             const SolSignerSeeds *signers_seeds, int signers_seeds_len);

void sol_memcpy_(void *to, const void *from, uint64_t length);
void sol_memcmp_(const void *a, const void *b, uint64_t length, int32_t *result);
void sol_memset_(void *to, uint8_t value, uint64_t length);

#define sol_log_             SOL_SYSCALL(sol_log_, 0x207559bd)
#define sol_log_64_          SOL_SYSCALL(sol_log_64_, 0x5c2a3178)
#define sol_set_return_data  SOL_SYSCALL(sol_set_return_data, 0xa226d3eb)
#define sol_get_return_data  SOL_SYSCALL(sol_get_return_data, 0x5d2245e4)
#define sol_invoke_signed_c  SOL_SYSCALL(sol_invoke_signed_c, 0xa22b9c85)
#define sol_memcpy_          SOL_SYSCALL(sol_memcpy_, 0x717cc4a3)
#define sol_memcmp_          SOL_SYSCALL(sol_memcmp_, 0x5fdcde31)
#define sol_memset_          SOL_SYSCALL(sol_memset_, 0x3770fb22)

/* ---- Helpers ---- */

/* Logs a string literal. */
#define sol_log(literal) sol_log_("" literal, sizeof(literal) - 1)

static inline void sol_memcpy(void *to, const void *from, uint64_t length) {
    sol_memcpy_(to, from, length);
}

static inline int32_t sol_memcmp(const void *a, const void *b, uint64_t length) {
    int32_t result = 0;
    sol_memcmp_(a, b, length, &result);
    return result;
}

static inline void sol_memset(void *to, uint8_t value, uint64_t length) {
    sol_memset_(to, value, length);
}

static inline bool SolPubkey_same(const SolPubkey *a, const SolPubkey *b) {
    return sol_memcmp(a, b, sizeof(SolPubkey)) == 0;
}

/* The little-endian u64 at `from`, which need not be aligned. */
static inline uint64_t sol_load_u64(const uint8_t *from) {
    uint64_t value;
    __builtin_memcpy(&value, from, sizeof(value));
    return value;
}

/* Reads the input. The first `ka_num` accounts are stored in params->ka, the others skipped; params->ka_num says how
 * many the instruction has. */
static inline void sol_deserialize(const uint8_t *input, SolParameters *params, uint64_t ka_num) {
    params->ka_num = *(const uint64_t *)input;
    input += sizeof(uint64_t);

    for (uint64_t i = 0; i < params->ka_num; i++) {
        /* 255, or the index of the earlier account that this one repeats; then it has no fields of its own. */
        uint8_t duplicate_of = input[0];
        if (duplicate_of != UINT8_MAX) {
            if (i < ka_num) params->ka[i] = params->ka[duplicate_of];
            input += 8;
            continue;
        }

        const uint8_t *data = input + 88;
        uint64_t data_len = *(const uint64_t *)(input + 80);
        uint64_t spare = MAX_PERMITTED_DATA_INCREASE + (-data_len & 7); /* keeps the next account aligned to 8 */
        const uint8_t *rent_epoch = data + data_len + spare;
        if (i < ka_num) {
            params->ka[i] = (SolAccountInfo){
                .key = (SolPubkey *)(input + 8),
                .owner = (SolPubkey *)(input + 40),
                .lamports = (uint64_t *)(input + 72),
                .data_len = data_len,
                .data = (uint8_t *)data,
                .rent_epoch = *(const uint64_t *)rent_epoch,
                .is_signer = input[1] != 0,
                .is_writable = input[2] != 0,
                .executable = input[3] != 0,
            };
        }
        input = rent_epoch + sizeof(uint64_t);
    }

    params->data_len = *(const uint64_t *)input;
    params->data = input + sizeof(uint64_t);
    params->program_id = (const SolPubkey *)(params->data + params->data_len);
}

_Static_assert(sizeof(SolAccountInfo) == 56, "SolAccountInfo is part of the runtime's interface");
_Static_assert(sizeof(SolAccountMeta) == 16, "SolAccountMeta is part of the runtime's interface");
_Static_assert(sizeof(SolInstruction) == 40, "SolInstruction is part of the runtime's interface");

#endif
