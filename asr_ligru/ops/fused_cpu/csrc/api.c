/* Chooses the build of the core that this processor runs fastest. */
#include "api.h"

#include <stddef.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

EXPORT int64_t asr_ligru_abi(void) { return ASR_LIGRU_ABI; }

EXPORT int64_t asr_ligru_job_bytes(void) { return (int64_t)sizeof(Job); }

/* Asks the system to back memory that was not yet written with large pages: most of the time a first write takes goes
 * into page faults. Only advice; does nothing where there is no such thing. */
EXPORT void asr_ligru_prefer_large_pages(char *memory, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)1 << 21, from = ((uintptr_t)memory + page - 1) / page * page;
    const uintptr_t to = ((uintptr_t)memory + (uintptr_t)bytes) / page * page;
    if (to > from) madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

/* The named build, or NULL when it was not compiled or this processor cannot run it; "" is the best one. */
EXPORT const Core *asr_ligru_core(const char *name) {
    const int best = name[0] == '\0';
#ifdef __x86_64__
    __builtin_cpu_init();
    if ((best || !strcmp(name, "avx512")) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma"))
        return &core_avx512;
    if ((best || !strcmp(name, "avx2")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &core_avx2;
#endif
    return best || !strcmp(name, "base") ? &core_base : NULL;
}
