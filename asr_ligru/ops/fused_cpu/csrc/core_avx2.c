/* The core for x86-64 processors with AVX2: vectors of 8 floats. */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define LANES 8
#include "loops.h"

const Core core_avx2 = {"avx2", LANES, panel_floats, pack_forward, pack_backward, run_forward, run_backward};
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
