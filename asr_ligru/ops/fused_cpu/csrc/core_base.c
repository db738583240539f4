/* The core for any processor: vectors of 4 floats (SSE2 on x86-64, NEON on 64-bit ARM). */
#define LANES 4
#include "loops.h"

const Core core_base = {"base", LANES, panel_floats, pack_forward, pack_backward, run_forward, run_backward};
