/* SLi-GRU: a LiGRU with layer norm over all of U h. Formulas: asr_ligru/ops/sligru/reference.py. */
#ifndef ASR_LIGRU_SLIGRU_H
#define ASR_LIGRU_SLIGRU_H

#include "light.h"

typedef struct {
    float mean, scale;
} Norm;

/* x where there are units, 0 behind them. */
INLINE V only(V x, int64_t count) {
    if (count >= LANES) return x;
    for (int64_t i = count; i < LANES; i++) x[i] = 0.0f;
    return x;
}

/* Mean, and 1 / standard deviation, of `gates` blocks of `hidden` units, `stride` floats apart. */
static Norm norm_of(const float *v, int64_t stride, int64_t gates, int64_t hidden, double eps) {
    V sum = {0}, squares = {0};
    for (int64_t gate = 0; gate < gates; gate++)
        for (int64_t unit = 0; unit < hidden; unit += LANES)
            sum += load_some(v + gate * stride + unit, hidden - unit);
    const float size = (float)(gates * hidden), mean = total(sum) / size;
    for (int64_t gate = 0; gate < gates; gate++)
        for (int64_t unit = 0; unit < hidden; unit += LANES) {
            V off = only(load_some(v + gate * stride + unit, hidden - unit) - mean, hidden - unit);
            squares += off * off;
        }
    return (Norm){mean, (float)(1.0 / sqrt((double)(total(squares) / size) + eps))};
}

/* Leaves U h in saved. */
static void sligru_row_step(const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden, width = work->width;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const Norm norm = norm_of(b.v, width, 2, hidden, work->job->eps);
    const float *wx = at_step(row->wx, t);
    float *h = at_step(row->h, t), *saved = row->saved.first ? at_step(row->saved, t) : NULL;
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V v_a = load(b.v + unit), v_g = load(b.v + width + unit);
        V a = (v_a - norm.mean) * norm.scale + load_some(wx + unit, count);
        V g = (v_g - norm.mean) * norm.scale + load_some(wx + hidden + unit, count);
        State new = ligru_step(a, g, mask_of(row, unit, count), (State){.h = load(b.fed + unit)});
        store(b.fed + unit, new.h);
        store_some(h + unit, new.h, count);
        if (saved) {
            store_some(saved + unit, v_a, count);
            store_some(saved + hidden + unit, v_g, count);
        }
    }
}

/* From the gradient d to the norm's output, left in b.v, to that of its input: scale * (d - mean d - x mean(d x)). */
static void through_norm(const Work *work, const float *v, Norm norm, float *d, float *grad_v) {
    const int64_t hidden = work->job->hidden, width = work->width;
    V sum = {0}, along = {0};
    for (int64_t gate = 0; gate < 2; gate++)
        for (int64_t unit = 0; unit < hidden; unit += LANES) {
            V x = (load_some(v + gate * hidden + unit, hidden - unit) - norm.mean) * norm.scale;
            V gradient = only(load(d + gate * width + unit), hidden - unit);
            sum += gradient;
            along += gradient * x;
        }
    const float mean = total(sum) / (float)(2 * hidden), slope = total(along) / (float)(2 * hidden);
    for (int64_t gate = 0; gate < 2; gate++)
        for (int64_t unit = 0; unit < hidden; unit += LANES) {
            const int64_t count = MIN(LANES, hidden - unit);
            V x = (load_some(v + gate * hidden + unit, count) - norm.mean) * norm.scale;
            V gradient = (load(d + gate * width + unit) - mean - x * slope) * norm.scale;
            store(d + gate * width + unit, gradient);
            store_some(grad_v + gate * hidden + unit, gradient, count);
        }
}

static void sligru_row_gradient(const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *wx = at_step(row->wx, t), *v = at_step(row->saved, t);
    const float *grad_h = at_step(row->grad_h, t), *before = state_before(row, t);
    const Norm norm = norm_of(v, hidden, 2, hidden, work->job->eps);
    float *grad_wx = at_step(row->grad_wx, t);
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V a = (load_some(v + unit, count) - norm.mean) * norm.scale + load_some(wx + unit, count);
        V g = (load_some(v + hidden + unit, count) - norm.mean) * norm.scale + load_some(wx + hidden + unit, count);
        V dh = load(b.grad + unit) + load_some(grad_h + unit, count);
        Gradient gradient = ligru_gradient(a, g, mask_of(row, unit, count), load_some(before + unit, count), dh);
        store(b.v + unit, gradient.a);
        store(b.v + work->width + unit, gradient.g);
        store(b.grad + unit, gradient.h);
        store_some(grad_wx + unit, gradient.a, count);
        store_some(grad_wx + hidden + unit, gradient.g, count);
    }
    through_norm(work, v, norm, b.v, at_step(row->grad_v, t));
}

#endif
