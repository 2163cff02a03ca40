/* unknown_syscall: calls a syscall that no runtime has. A loader must refuse the program, and say which call it is;
 * loaded, it would fail only when the call is reached. */

#include <solana.h>

uint64_t sol_no_such_call(void);

#define sol_no_such_call SOL_SYSCALL(sol_no_such_call, 0x210d72d7)

uint64_t entrypoint(const uint8_t *input) {
    (void)input;
    return sol_no_such_call();
}
