/* The time loops: for each step one product with the recurrent weights for all rows, then each row's gates. */
#ifndef ASR_LIGRU_LOOPS_H
#define ASR_LIGRU_LOOPS_H

#include "denormals.h"
#include "gru.h"
#include "light.h"
#include "lstm.h"
#include "sligru.h"

typedef struct {
    int64_t gates, parts; /* blocks of hidden units in wx, and in the state */
    void (*start)(const Work *work, int64_t r);
    void (*step)(const Work *work, int64_t r, int64_t t);
    void (*gradient)(const Work *work, int64_t r, int64_t t);
} Cell;

static const Cell cells[CELLS] = {
    [LIGRU] = {2, 1, ligru_start, ligru_row_step, ligru_row_gradient},
    [LIBRU_ARITH] = {2, 1, arith_libru_start, arith_libru_row_step, arith_libru_row_gradient},
    [LIBRU_HARM] = {2, 1, harm_libru_start, harm_libru_row_step, harm_libru_row_gradient},
    [LIBRU_GEO] = {2, 1, geo_libru_start, geo_libru_row_step, geo_libru_row_gradient},
    [SLIGRU] = {2, 1, ligru_start, sligru_row_step, sligru_row_gradient},
    [GRU] = {3, 1, gru_start, gru_row_step, gru_row_gradient},
    [LSTM] = {4, 2, lstm_start, lstm_row_step, lstm_row_gradient},
};

/* Rows come longest first, so those that still run at a step are the first ones. Not inlined, nor the other one: their
 * arithmetic must stay between the changes of mode around the call. */
static __attribute__((noinline)) int walk_forward(const Job *job) {
    const Cell *cell = &cells[job->cell];
    Work work;
    if (open_work(&work, job, cell->gates, cell->parts)) return 1;
    const Buffers b = work.buffers;
    const int64_t panels = round_up(cell->gates * work.width, PANEL) / PANEL;
    for (int64_t r = 0; r < job->rows; r++) cell->start(&work, r);
    int64_t running = job->rows;
    for (int64_t t = 0; t < work.row[0].steps; t++) {
        while (work.row[running - 1].steps <= t) running--;
        multiply(running, job->hidden, b.fed, work.ld, panels, job->panels, b.v, work.ld_v, 0);
        for (int64_t r = 0; r < running; r++) {
            if (r + 1 < running) fetch(work.row[r + 1].wx, t, cell->gates * job->hidden);
            cell->step(&work, r, t);
        }
    }
    free(work.memory);
    return 0;
}

static __attribute__((noinline)) int walk_backward(const Job *job) {
    const Cell *cell = &cells[job->cell];
    Work work;
    if (open_work(&work, job, cell->gates, cell->parts)) return 1;
    const Buffers b = work.buffers;
    const int64_t panels = round_up(job->hidden, PANEL) / PANEL, depth = cell->gates * work.width;
    int64_t running = 0;
    for (int64_t t = work.row[0].steps - 1; t >= 0; t--) {
        while (running < job->rows && work.row[running].steps > t) running++;
        for (int64_t r = 0; r < running; r++) {
            if (r + 1 < running) {
                fetch(work.row[r + 1].wx, t, cell->gates * job->hidden);
                fetch(work.row[r + 1].saved, t, cell->gates * job->hidden);
                fetch(work.row[r + 1].grad_h, t, cell->parts * job->hidden);
            }
            cell->gradient(&work, r, t);
        }
        multiply(running, depth, b.v, work.ld_v, panels, job->panels, b.grad, work.ld, 1);
    }
    for (int64_t r = 0; r < job->rows; r++)
        for (int64_t part = 0; part < cell->parts; part++)
            memcpy(work.row[r].grad_h0 + part * job->hidden, b.grad + r * work.ld + part * work.width,
                   (size_t)job->hidden * sizeof(float));
    free(work.memory);
    return 0;
}

static int run_forward(const Job *job) { return without_denormals(walk_forward, job); }

static int run_backward(const Job *job) { return without_denormals(walk_backward, job); }

#endif
