/* callx: calls through a function pointer, and succeeds when the right function ran.
 *
 * Compilers emit the indirect call instruction for it, callx, which the just-in-time compiler of the runtime translates
 * with MMX registers. A host must get its floating-point unit back clean; this program is what the test for that runs.
 *
 * Instruction data: its length selects the function. No accounts needed. */

#include <solana.h>

static __attribute__((noinline)) uint64_t triple(uint64_t x) {
    return 3 * x;
}

static __attribute__((noinline)) uint64_t square(uint64_t x) {
    return x * x;
}

uint64_t entrypoint(const uint8_t *input) {
    SolParameters params;
    sol_deserialize(input, &params, 0);

    uint64_t (*function)(uint64_t) = params.data_len == 0 ? triple : square;
    /* Hides from the compiler which functions these can be; it would call them directly. */
    __asm__ volatile("" : "+r"(function));

    uint64_t expected = params.data_len == 0 ? 21 : 49;
    return function(7) == expected ? SUCCESS : 1;
}
