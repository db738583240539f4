/* LSTM; gates i, f, candidate, o; its state is output and cell. Formulas: asr_ligru/ops/lstm_bn/reference.py. */
#ifndef ASR_LIGRU_LSTM_H
#define ASR_LIGRU_LSTM_H

#include "row.h"

static void lstm_start(const Work *work, int64_t r) {
    const size_t bytes = (size_t)work->job->hidden * sizeof(float);
    memcpy(buffers_of(work, r).fed, work->row[r].h0, bytes);
    memcpy(buffers_of(work, r).extra, work->row[r].h0 + work->job->hidden, bytes);
}

/* Leaves the pre-activations in saved. */
static void lstm_row_step(const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *wx = at_step(row->wx, t);
    float *h = at_step(row->h, t), *saved = row->saved.first ? at_step(row->saved, t) : NULL;
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V pre[4];
        for (int gate = 0; gate < 4; gate++) {
            pre[gate] = load(b.v + gate * work->width + unit) + load_some(wx + gate * hidden + unit, count);
            if (saved) store_some(saved + gate * hidden + unit, pre[gate], count);
        }
        V taken = sigmoid(pre[0]) * vtanh(pre[2]) * mask_of(row, unit, count);
        V cell = sigmoid(pre[1]) * load(b.extra + unit) + taken, out = sigmoid(pre[3]) * vtanh(cell);
        store(b.fed + unit, out);
        store(b.extra + unit, cell);
        store_some(h + unit, out, count);
        store_some(h + hidden + unit, cell, count);
    }
}

static void lstm_row_gradient(const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden, width = work->width;
    const Row *row = &work->row[r];
    const Buffers b = buffers_of(work, r);
    const float *saved = at_step(row->saved, t), *grad_h = at_step(row->grad_h, t);
    const float *before = state_before(row, t) + hidden, *after = at_step(row->h, t) + hidden; /* cells */
    float *grad_wx = at_step(row->grad_wx, t);
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V m = mask_of(row, unit, count), i = sigmoid(load_some(saved + unit, count));
        V f = sigmoid(load_some(saved + hidden + unit, count)), a = vtanh(load_some(saved + 2 * hidden + unit, count));
        V o = sigmoid(load_some(saved + 3 * hidden + unit, count)), squashed = vtanh(load_some(after + unit, count));
        V d_out = load(b.grad + unit) + load_some(grad_h + unit, count);
        V d_cell = load(b.grad + width + unit) + load_some(grad_h + hidden + unit, count);
        d_cell += d_out * o * (1.0f - squashed * squashed);
        V d_pre[] = {d_cell * a * m * i * (1.0f - i), d_cell * load_some(before + unit, count) * f * (1.0f - f),
                     d_cell * i * m * (1.0f - a * a), d_out * squashed * o * (1.0f - o)};
        store(b.grad + unit, (V){0});
        store(b.grad + width + unit, d_cell * f);
        for (int gate = 0; gate < 4; gate++) {
            store(b.v + gate * width + unit, d_pre[gate]);
            store_some(grad_wx + gate * hidden + unit, d_pre[gate], count);
        }
    }
}

#endif
