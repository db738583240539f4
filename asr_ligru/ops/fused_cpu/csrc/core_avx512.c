/* The core for x86-64 processors with AVX512: vectors of 16 floats. */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,fma")
#endif
#define LANES 16
#include "loops.h"

const Core core_avx512 = {"avx512", LANES, panel_floats, pack_forward, pack_backward, run_forward, run_backward};
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
