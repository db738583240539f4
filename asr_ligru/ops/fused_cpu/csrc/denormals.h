/* Numbers below 1.2e-38, which Intel processors compute with in microcode. A unit of LiGRU that is not excited keeps a
 * share of its state at each step and comes to them: one or two states of a hundred after training on AN4. */
#ifndef ASR_LIGRU_DENORMALS_H
#define ASR_LIGRU_DENORMALS_H

#include "api.h"

/* Runs a job taking them for zero, what it reads and what it computes, and leaves the thread's mode as it was.
 * Elsewhere than on x86-64 they stay. */
static int without_denormals(int (*run)(const Job *), const Job *job) {
#ifdef __x86_64__
    const unsigned before = __builtin_ia32_stmxcsr(), read = 0x0040, computed = 0x8000;
    __builtin_ia32_ldmxcsr(before | read | computed);
    const int failed = run(job);
    __builtin_ia32_ldmxcsr(before);
    return failed;
#else
    return run(job);
#endif
}

#endif
