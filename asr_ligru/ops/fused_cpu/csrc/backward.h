/* Backward: for every step from the last, the gates' gradients, then their product with the recurrent weights. */
#ifndef ASR_LIGRU_BACKWARD_H
#define ASR_LIGRU_BACKWARD_H

#include "loops.h"

/* Gradients of one row at step t: reads the state's gradient, leaves the pre-activations' in pair and grad_pre and
 * the direct share of the previous state's in its place. */
INLINE void gate_gradients(const int cell, const Work *work, int64_t r, int64_t t) {
    const int64_t hidden = work->job->hidden, width = padded(hidden);
    const Row *row = &work->row[r];
    const float *pre = at_step(row->pre, t), *grad_h = at_step(row->grad_h, t);
    const float *before = t > 0 ? at_step(row->h, t - 1) : row->h0;
    float *grad_pre = at_step(row->grad_pre, t);
    float *grad = work->grad + r * work->ld, *pair = work->pair + r * work->ld_pair;
    for (int64_t unit = 0; unit < hidden; unit += LANES) {
        const int64_t count = MIN(LANES, hidden - unit);
        V dh = load(grad + unit) + load_some(grad_h + unit, count);
        V m = row->mask ? load_some(row->mask + unit, count) : splat(1.0f);
        Gradient gradient = cell_gradient(cell, load_some(pre + unit, count), load_some(pre + hidden + unit, count), m,
                                          load_some(before + unit, count), dh);
        store(pair + unit, gradient.a);
        store(pair + width + unit, gradient.g);
        store(grad + unit, gradient.h);
        store_some(grad_pre + unit, gradient.a, count);
        store_some(grad_pre + hidden + unit, gradient.g, count);
    }
}

typedef void (*GateGradients)(const Work *work, int64_t r, int64_t t);

#define GATE_GRADIENTS(name, cell)                                                                                     \
    NOINLINE void name(const Work *work, int64_t r, int64_t t) { gate_gradients(cell, work, r, t); }

GATE_GRADIENTS(gradients_ligru, CELL_LIGRU)
GATE_GRADIENTS(gradients_arith, CELL_LIBRU_ARITH)
GATE_GRADIENTS(gradients_harm, CELL_LIBRU_HARM)
GATE_GRADIENTS(gradients_geo, CELL_LIBRU_GEO)
static const GateGradients gate_gradients_of[] = {gradients_ligru, gradients_arith, gradients_harm, gradients_geo};

NOINLINE void add_products(const Work *work, int64_t first, int64_t rows, int64_t unit, float feedback,
                           const float *product) {
    for (int64_t r = 0; r < rows; r++, product += PANEL) {
        float *grad = work->grad + (first + r) * work->ld + unit;
        store(grad, load(grad) + feedback * load(product));
        store(grad + LANES, load(grad + LANES) + feedback * load(product + LANES));
    }
}

/* grad += feedback * pair @ u, for the rows that run. */
static void gradient_step(const Work *work, int64_t running) {
    const int64_t hidden = work->job->hidden, depth = 2 * padded(hidden), panels = (hidden + PANEL - 1) / PANEL;
    const int64_t groups = (running + MAX_ROWS - 1) / MAX_ROWS;
    const float feedback = cell_feedback((int)work->job->cell);
    for (int64_t panel = 0, together; panel < panels; panel += together) {
        together = panels_together((running + groups - 1) / groups, panels - panel);
        const float *weights = work->job->panels + panel * depth * PANEL;
        for (int64_t group = 0, first = 0; group < groups; group++) {
            const int64_t rows = (running - first + groups - group - 1) / (groups - group);
            product_for(rows, (int)together)(depth, work->pair + first * work->ld_pair, work->ld_pair, weights, work->product);
            for (int64_t n = 0; n < together; n++)
                add_products(work, first, rows, (panel + n) * PANEL, feedback, work->product + n * MAX_ROWS * PANEL);
            first += rows;
        }
    }
}

static int run_backward(const Job *job) {
    Work work;
    if (open_work(&work, job)) return 1;
    const GateGradients gate_gradients = gate_gradients_of[job->cell];
    int64_t running = 0;
    for (int64_t t = work.row[0].steps - 1; t >= 0; t--) {
        while (running < job->rows && work.row[running].steps > t) running++;
        for (int64_t r = 0; r < running; r++) gate_gradients(&work, r, t);
        gradient_step(&work, running);
    }
    for (int64_t r = 0; r < job->rows; r++)
        memcpy(work.row[r].grad_h0, work.grad + r * work.ld, (size_t)job->hidden * sizeof(float));
    free(work.memory);
    return 0;
}

#endif
