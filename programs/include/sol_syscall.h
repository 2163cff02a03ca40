/* How a program calls the runtime.
 *
 * In sBPF v3 a syscall is a call to a constant: the 32-bit murmur3 hash of its name, with seed 0. A header declares
 * each syscall as an ordinary prototype and then binds the prototype to its number with one line:
 *
 *     uint64_t sol_get_slot(void);
 *     #define sol_get_slot SOL_SYSCALL(sol_get_slot, 0x9566e7f9)
 *
 * The loader does not know names, so a wrong digit would call something else or nothing. build.mjs therefore computes
 * every number again from its name and refuses a table in which one differs.
 *
 * Any target other than BPF sees the prototypes only: a program's logic can be compiled and tested on the host, linked
 * with functions of the same names that stand in for the runtime. */

#ifndef SOL_SYSCALL_H
#define SOL_SYSCALL_H

#ifdef __bpf__
#define SOL_SYSCALL(name, number) ((__typeof__(&name))(uint64_t)(number))
#else
#define SOL_SYSCALL(name, number) name
#endif

/* The same for a prototype whose C name is not the syscall's. */
#define SOL_SYSCALL_AS(prototype, name, number) SOL_SYSCALL(prototype, number)

#endif
