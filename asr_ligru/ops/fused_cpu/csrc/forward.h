/* Forward: for every step, product of the states with one panel of weights, then the gates of that panel's units. */
#ifndef ASR_LIGRU_FORWARD_H
#define ASR_LIGRU_FORWARD_H

#include "loops.h"

/* The gates of rows [first, first + rows) and units [unit, unit + LANES) at step t. */
INLINE void gates(const int cell, const Work *work, int64_t first, int64_t rows, int64_t unit, int64_t t,
                  const float *product) {
    const int64_t hidden = work->job->hidden, count = MIN(LANES, hidden - unit);
    const float feedback = cell_feedback(cell);
    for (int64_t r = 0; r < rows; r++, product += PANEL) {
        const Row *row = &work->row[first + r];
        const int64_t at = (first + r) * work->ld + unit;
        const float *wx = at_step(row->wx, t) + unit;
        __builtin_prefetch(wx + row->wx.step);
        __builtin_prefetch(wx + row->wx.step + hidden);
        V a = load(product) + load_some(wx, count);
        V g = load(product + LANES) + load_some(wx + hidden, count);
        V m = row->mask ? load_some(row->mask + unit, count) : splat(1.0f);
        State old = {load(work->state + at) * feedback, load(work->odds + at), load(work->rest + at)};
        State new = cell_step(cell, a, g, m, row->mask != NULL, old);
        store(work->new_state + at, new.h * feedback);
        store(work->odds + at, new.odds);
        store(work->rest + at, new.rest);
        store_some(at_step(row->h, t) + unit, new.h, count);
        if (row->pre.first) {
            float *pre = at_step(row->pre, t) + unit;
            store_some(pre, a, count);
            store_some(pre + hidden, g, count);
        }
    }
}

typedef void (*Gates)(const Work *work, int64_t first, int64_t rows, int64_t unit, int64_t t, const float *product);

/* Never inlined into the loop over panels: the product's sums must stay in registers. */
#define GATES(name, cell)                                                                                              \
    NOINLINE void name(const Work *work, int64_t first, int64_t rows, int64_t unit, int64_t t, const float *product) { \
        gates(cell, work, first, rows, unit, t, product);                                                              \
    }

GATES(gates_ligru, CELL_LIGRU)
GATES(gates_arith, CELL_LIBRU_ARITH)
GATES(gates_harm, CELL_LIBRU_HARM)
GATES(gates_geo, CELL_LIBRU_GEO)
static const Gates gates_of[] = {gates_ligru, gates_arith, gates_harm, gates_geo};

static void start_states(const Work *work) {
    const Job *job = work->job;
    for (int64_t r = 0; r < job->rows; r++)
        for (int64_t unit = 0; unit < job->hidden; unit += LANES) {
            const int64_t at = r * work->ld + unit;
            State state = cell_start((int)job->cell, load_some(work->row[r].h0 + unit, job->hidden - unit));
            store(work->state + at, state.h * cell_feedback((int)job->cell));
            store(work->odds + at, state.odds);
            store(work->rest + at, state.rest);
        }
}

static void forward_step(const Work *work, int64_t running, int64_t t) {
    const int64_t hidden = work->job->hidden, panels = (hidden + LANES - 1) / LANES;
    const int64_t groups = (running + MAX_ROWS - 1) / MAX_ROWS;
    const Gates gates = gates_of[work->job->cell];
    for (int64_t panel = 0, together; panel < panels; panel += together) {
        together = panels_together((running + groups - 1) / groups, panels - panel);
        const float *weights = work->job->panels + panel * hidden * PANEL;
        for (int64_t group = 0, first = 0; group < groups; group++) {
            const int64_t rows = (running - first + groups - group - 1) / (groups - group);
            product_for(rows, (int)together)(hidden, work->state + first * work->ld, work->ld, weights, work->product);
            for (int64_t n = 0; n < together; n++)
                gates(work, first, rows, (panel + n) * LANES, t, work->product + n * MAX_ROWS * PANEL);
            first += rows;
        }
    }
}

static int run_forward(const Job *job) {
    Work work;
    if (open_work(&work, job)) return 1;
    start_states(&work);
    int64_t running = job->rows;
    for (int64_t t = 0; (running = rows_running(&work, running, t)) > 0; t++) {
        forward_step(&work, running, t);
        float *swap = work.state;
        work.state = work.new_state;
        work.new_state = swap;
    }
    free(work.memory);
    return 0;
}

#endif
