/* The light cells: a candidate and a keep gate. Formulas: docs/cells.md and asr_ligru/ops/<cell>/reference.py.
 * A state has up to three carried vectors: h, and for LiBRU two exponentials of it.
 */
#ifndef ASR_LIGRU_LIGHT_H
#define ASR_LIGRU_LIGHT_H

#include <math.h>

#include "row.h"

typedef struct {
    V h, odds, rest;
} State;

typedef struct {
    V a, g, h; /* gradients to candidate and gate pre-activation, and directly to the previous state */
} Gradient;

static const float far_from_zero = 1e-30f, far_from_infinity = 1e30f;

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

INLINE Gradient ligru_gradient(V a, V g, V m, V before, V dh) {
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

INLINE Gradient geo_gradient(V a, V g, V m, V before, V dh) {
    Softplus c = softplus_with_slope(a);
    V z = sigmoid(g), keep = dh * z, take = dh - keep;
    return (Gradient){.a = take * m * c.slope, .g = keep * (1.0f - z) * (before - c.value * m), .h = keep};
}

/* LiBRU arith in s = -log p: p = z p' + (1 - z) e^-c, c = softplus(-a) m. Carried: odds = p, rest = 1 - p. */
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

/* The old state's share in the new one is z p' / p = sigmoid(g - h' + c). */
INLINE Gradient arith_gradient(V a, V g, V m, V before, V dh) {
    Softplus c = softplus_with_slope(-a);
    Pair kept = sigmoids(g - before + c.value * m);
    return (Gradient){.a = -dh * kept.no * c.slope * m, .g = dh * (sigmoid(g) - kept.yes), .h = dh * kept.yes};
}

/* LiBRU harm: e^h = z e^h' + (1 - z) e^c, c = softplus(a) m. Carried: odds = e^h - 1. */
INLINE State harm_start(V h) { return (State){.h = h, .odds = vexp(h) - 1.0f}; }

INLINE State harm_step(V a, V g, V m, int masked, State old) {
    Pair z = sigmoids(g);
    V candidate = vexp(a); /* e^c - 1 */
    if (masked) candidate = vexp(softplus(a) * m) - 1.0f;
    V odds = z.yes * old.odds + z.no * candidate;
    State new = {.h = vlog1p_of(odds, 1.0f + odds), .odds = odds};
    VI huge = (odds > far_from_infinity) | (old.odds > far_from_infinity) | (candidate > far_from_infinity);
    if (any(huge))
        for (int i = 0; i < LANES; i++)
            if (huge[i]) {
                float kept = log_sigmoid_1(g[i]) + old.h[i], taken = log_sigmoid_1(-g[i]) - log_sigmoid_1(-a[i]) * m[i];
                new.h[i] = log_add_exp_1(kept, taken);
                new.odds[i] = expf(new.h[i] < 88.0f ? new.h[i] : 88.0f) - 1.0f;
            }
    return new;
}

INLINE Gradient harm_gradient(V a, V g, V m, V before, V dh) {
    Softplus c = softplus_with_slope(a);
    Pair kept = sigmoids(g + before - c.value * m);
    return (Gradient){.a = dh * kept.no * c.slope * m, .g = dh * (kept.yes - sigmoid(g)), .h = dh * kept.yes};
}

INLINE State cell_start(const int cell, V h) {
    if (cell == LIBRU_ARITH) return arith_start(h);
    if (cell == LIBRU_HARM) return harm_start(h);
    return (State){.h = h};
}

INLINE State cell_step(const int cell, V a, V g, V m, int masked, State old) {
    if (cell == LIBRU_ARITH) return arith_step(a, g, m, masked, old);
    if (cell == LIBRU_HARM) return harm_step(a, g, m, masked, old);
    if (cell == LIBRU_GEO) return geo_step(a, g, m, old);
    return ligru_step(a, g, m, old);
}

INLINE Gradient cell_gradient(const int cell, V a, V g, V m, V before, V dh) {
    if (cell == LIBRU_ARITH) return arith_gradient(a, g, m, before, dh);
    if (cell == LIBRU_HARM) return harm_gradient(a, g, m, before, dh);
    if (cell == LIBRU_GEO) return geo_gradient(a, g, m, before, dh);
    return ligru_gradient(a, g, m, before, dh);
}

/* What the recurrent product reads: the state, or log p = -s. */
INLINE float feedback(const int cell) { return cell == LIBRU_ARITH ? -1.0f : 1.0f; }

INLINE void light_start(const int cell, const Work *work, int64_t r) {
    const Buffers b = buffers_of(work, r);
    for (int64_t unit = 0; unit < work->job->hidden; unit += LANES) {
        State state = cell_start(cell, load_some(work->row[r].h0 + unit, work->job->hidden - unit));
        store(b.fed + unit, state.h * feedback(cell));
        store(b.extra + unit, state.odds);
        store(b.other + unit, state.rest);
    }
}

/* Leaves the pre-activations in saved. */
INLINE void light_step(const int cell, const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *wx = at_step(row->wx, t);
    float *h = at_step(row->h, t), *saved = row->saved.first ? at_step(row->saved, t) : NULL;
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V a = load(b.v + unit) + load_some(wx + unit, count);
        V g = load(b.v + work->width + unit) + load_some(wx + hidden + unit, count);
        State old = {load(b.fed + unit) * feedback(cell), load(b.extra + unit), load(b.other + unit)};
        State new = cell_step(cell, a, g, mask_of(row, unit, count), row->mask != NULL, old);
        store(b.fed + unit, new.h * feedback(cell));
        store(b.extra + unit, new.odds);
        store(b.other + unit, new.rest);
        store_some(h + unit, new.h, count);
        if (saved) {
            store_some(saved + unit, a, count);
            store_some(saved + hidden + unit, g, count);
        }
    }
}

INLINE void light_gradient(const int cell, const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *saved = at_step(row->saved, t), *grad_h = at_step(row->grad_h, t), *before = state_before(row, t);
    float *grad_wx = at_step(row->grad_wx, t);
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V dh = load(b.grad + unit) + load_some(grad_h + unit, count);
        Gradient gradient =
            cell_gradient(cell, load_some(saved + unit, count), load_some(saved + hidden + unit, count),
                          mask_of(row, unit, count), load_some(before + unit, count), dh);
        store(b.v + unit, gradient.a * feedback(cell));
        store(b.v + work->width + unit, gradient.g * feedback(cell));
        store(b.grad + unit, gradient.h);
        store_some(grad_wx + unit, gradient.a, count);
        store_some(grad_wx + hidden + unit, gradient.g, count);
    }
}

#define LIGHT(name, cell)                                                                                              \
    static void name##_start(const Work *work, int64_t r) { light_start(cell, work, r); }                              \
    static void name##_row_step(const Work *work, int64_t r, int64_t t) { light_step(cell, work, r, t); }              \
    static void name##_row_gradient(const Work *work, int64_t r, int64_t t) { light_gradient(cell, work, r, t); }

LIGHT(ligru, LIGRU)
LIGHT(arith_libru, LIBRU_ARITH)
LIGHT(harm_libru, LIBRU_HARM)
LIGHT(geo_libru, LIBRU_GEO)

#endif
