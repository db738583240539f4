/* What each cell does to one vector of units at one step. Formulas: docs/cells.md and asr_ligru/ops/<cell>/reference.py.
 * A state has up to three carried vectors: h as the recurrent product reads it ("fed"), and two private to the cell.
 */
#ifndef ASR_LIGRU_CELLS_H
#define ASR_LIGRU_CELLS_H

#include <math.h>

#include "api.h"
#include "vec.h"

typedef struct {
    V h, odds, rest; /* odds, rest: LiBRU only, exponentials of h that are carried without cancellation */
} State;

typedef struct {
    V a, g, h; /* gradients to candidate and gate pre-activation, and directly to the previous state */
} Gradient;

static const float far_from_zero = 1e-30f, far_from_infinity = 1e30f;

INLINE int any(VI condition) {
    int32_t found = 0;
    for (int i = 0; i < LANES; i++) found |= condition[i];
    return found != 0;
}

static float log_sigmoid_1(float x) { return x < 0 ? x - log1pf(expf(x)) : -log1pf(expf(-x)); }

static float log_add_exp_1(float x, float y) {
    float high = x > y ? x : y, low = x > y ? y : x;
    return high + log1pf(expf(low - high));
}

/* LiGRU: c = relu(a) m, h = z h' + (1 - z) c. */
INLINE State ligru_step(V a, V g, V m, State old) {
    V z = sigmoid(g), c = choose(a < 0.0f, splat(0.0f), a) * m;
    return (State){.h = c + z * (old.h - c)};
}

INLINE Gradient ligru_gradient(V a, V g, V m, V before, V after, V dh) {
    (void)after;
    V z = sigmoid(g), c = choose(a < 0.0f, splat(0.0f), a) * m;
    V keep = dh * z, take = dh - keep;
    V da = choose(a > 0.0f, take * m, splat(0.0f));
    return (Gradient){.a = da, .g = keep * (1.0f - z) * (before - c), .h = keep};
}

/* LiBRU geo: LiGRU with c = softplus(a) m. */
INLINE State geo_step(V a, V g, V m, State old) {
    V z = sigmoid(g), c = softplus(a) * m;
    return (State){.h = c + z * (old.h - c)};
}

INLINE Gradient geo_gradient(V a, V g, V m, V before, V after, V dh) {
    (void)after;
    V z = sigmoid(g), c = softplus(a) * m;
    V keep = dh * z, take = dh - keep;
    return (Gradient){.a = take * m * sigmoid(a), .g = keep * (1.0f - z) * (before - c), .h = keep};
}

/* LiBRU: z with the share of the old state in the new one, z e^change. The exponents are added before the
 * exponential: each alone may be out of range. */
typedef struct {
    V z, kept;
} Shares;

INLINE Shares shares(V g, V change) {
    V low = choose(g < 0.0f, g, splat(0.0f)), high = 1.0f / (1.0f + vexp(low + low - g)); /* low + low - g = -|g| */
    V kept = at_most(high * vexp(low + change), 1.0f);
    return (Shares){.z = high * vexp(low), .kept = kept};
}

/* LiBRU arith in s = -log p: p = z p' + (1 - z) c, c = sigmoid(a)^m. Carried: odds = p, rest = 1 - p. */
INLINE State arith_start(V h) {
    V p = vexp(-h);
    return (State){.h = h, .odds = p, .rest = 1.0f - p};
}

INLINE State arith_step(V a, V g, V m, int masked, State old) {
    Pair z = sigmoids(g), c = sigmoids(a);
    if (masked) {
        c.yes = vexp(-softplus(-a) * m);
        c.no = 1.0f - c.yes;
    }
    V p = z.yes * old.odds + z.no * c.yes;
    V rest = z.yes * old.rest + z.no * c.no;
    State new = {.h = -vlog1p_of(-rest, p), .odds = p, .rest = rest};
    VI tiny = p < far_from_zero;
    if (any(tiny))
        for (int i = 0; i < LANES; i++)
            if (tiny[i]) {
                float kept = log_sigmoid_1(g[i]) - old.h[i], taken = log_sigmoid_1(-g[i]) + log_sigmoid_1(a[i]) * m[i];
                new.h[i] = -log_add_exp_1(kept, taken);
            }
    return new;
}

INLINE Gradient arith_gradient(V a, V g, V m, V before, V after, V dh) {
    Shares share = shares(g, after - before);
    return (Gradient){
        .a = dh * (share.kept - 1.0f) * sigmoid(-a) * m, .g = dh * (share.z - share.kept), .h = dh * share.kept};
}

/* LiBRU harm: e^h = z e^h' + (1 - z) e^c, c = softplus(a) m. Carried: odds = e^h - 1. */
INLINE State harm_start(V h) { return (State){.h = h, .odds = vexp(h) - 1.0f}; }

INLINE State harm_step(V a, V g, V m, int masked, State old) {
    Pair z = sigmoids(g);
    V candidate = vexp(a); /* e^c - 1 */
    if (masked) candidate = vexp(softplus(a) * m) - 1.0f;
    V odds = z.yes * old.odds + z.no * candidate;
    State new = {.h = vlog1p_of(odds, 1.0f + odds), .odds = odds};
    VI huge = (odds > far_from_infinity) | (old.odds > far_from_infinity);
    if (any(huge))
        for (int i = 0; i < LANES; i++)
            if (huge[i]) {
                float kept = log_sigmoid_1(g[i]) + old.h[i], taken = log_sigmoid_1(-g[i]) - log_sigmoid_1(-a[i]) * m[i];
                new.h[i] = log_add_exp_1(kept, taken);
                new.odds[i] = expf(new.h[i] < 88.0f ? new.h[i] : 88.0f) - 1.0f;
            }
    return new;
}

INLINE Gradient harm_gradient(V a, V g, V m, V before, V after, V dh) {
    Shares share = shares(g, before - after);
    return (Gradient){
        .a = dh * (1.0f - share.kept) * sigmoid(a) * m, .g = dh * (share.kept - share.z), .h = dh * share.kept};
}

INLINE State cell_start(const int cell, V h) {
    if (cell == CELL_LIBRU_ARITH) return arith_start(h);
    if (cell == CELL_LIBRU_HARM) return harm_start(h);
    return (State){.h = h};
}

INLINE State cell_step(const int cell, V a, V g, V m, int masked, State old) {
    if (cell == CELL_LIBRU_ARITH) return arith_step(a, g, m, masked, old);
    if (cell == CELL_LIBRU_HARM) return harm_step(a, g, m, masked, old);
    if (cell == CELL_LIBRU_GEO) return geo_step(a, g, m, old);
    return ligru_step(a, g, m, old);
}

INLINE Gradient cell_gradient(const int cell, V a, V g, V m, V before, V after, V dh) {
    if (cell == CELL_LIBRU_ARITH) return arith_gradient(a, g, m, before, after, dh);
    if (cell == CELL_LIBRU_HARM) return harm_gradient(a, g, m, before, after, dh);
    if (cell == CELL_LIBRU_GEO) return geo_gradient(a, g, m, before, after, dh);
    return ligru_gradient(a, g, m, before, after, dh);
}

/* What the recurrent product reads: the state, or log p = -s. */
INLINE float cell_feedback(const int cell) { return cell == CELL_LIBRU_ARITH ? -1.0f : 1.0f; }

#endif
