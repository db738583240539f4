/* GRU whose reset gate multiplies U h; gates r, z, candidate. Formulas: asr_ligru/ops/gru_bn/reference.py. */
#ifndef ASR_LIGRU_GRU_H
#define ASR_LIGRU_GRU_H

#include "row.h"

typedef struct {
    V r, z, c, v_c;
} GruGates;

INLINE GruGates gru_gates(const float *wx, const float *v, int64_t stride, int64_t hidden, int64_t unit, int64_t count) {
    GruGates gates = {.v_c = load_some(v + 2 * stride + unit, count)};
    gates.r = sigmoid(load_some(v + unit, count) + load_some(wx + unit, count));
    gates.z = sigmoid(load_some(v + stride + unit, count) + load_some(wx + hidden + unit, count));
    gates.c = vtanh(gates.r * gates.v_c + load_some(wx + 2 * hidden + unit, count));
    return gates;
}

static void gru_start(const Work *work, int64_t r) {
    memcpy(buffers_of(work, r).fed, work->row[r].h0, (size_t)work->job->hidden * sizeof(float));
}

/* Leaves U h in saved. */
static void gru_row_step(const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *wx = at_step(row->wx, t);
    float *h = at_step(row->h, t), *saved = row->saved.first ? at_step(row->saved, t) : NULL;
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        GruGates gates = gru_gates(wx, b.v, work->width, hidden, unit, count);
        V c = gates.c * mask_of(row, unit, count);
        V new = c + gates.z * (load(b.fed + unit) - c);
        store(b.fed + unit, new);
        store_some(h + unit, new, count);
        for (int gate = 0; saved && gate < 3; gate++)
            store_some(saved + gate * hidden + unit, load(b.v + gate * work->width + unit), count);
    }
}

static void gru_row_gradient(const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *wx = at_step(row->wx, t), *v = at_step(row->saved, t);
    const float *grad_h = at_step(row->grad_h, t), *before = state_before(row, t);
    float *grad_wx = at_step(row->grad_wx, t), *grad_v = at_step(row->grad_v, t);
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        GruGates gates = gru_gates(wx, v, hidden, hidden, unit, count);
        V m = mask_of(row, unit, count), dh = load(b.grad + unit) + load_some(grad_h + unit, count);
        V keep = dh * gates.z, d_c = (dh - keep) * m * (1.0f - gates.c * gates.c);
        V d_z = keep * (1.0f - gates.z) * (load_some(before + unit, count) - gates.c * m);
        V d_r = d_c * gates.v_c * gates.r * (1.0f - gates.r);
        V to_wx[] = {d_r, d_z, d_c}, to_v[] = {d_r, d_z, d_c * gates.r};
        store(b.grad + unit, keep);
        for (int gate = 0; gate < 3; gate++) {
            store(b.v + gate * work->width + unit, to_v[gate]);
            store_some(grad_wx + gate * hidden + unit, to_wx[gate], count);
            store_some(grad_v + gate * hidden + unit, to_v[gate], count);
        }
    }
}

#endif
