/* The time loops: all rows of a job, step after step, with weights, states and gradients in private aligned memory. */
#ifndef ASR_LIGRU_LOOPS_H
#define ASR_LIGRU_LOOPS_H

#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "panel.h"

#define NOINLINE static __attribute__((noinline))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

/* Where one row's data lies. A direction that walks backwards has negative steps. */
typedef struct {
    int64_t steps;
    const float *wx, *before, *mask, *grad_h;
    float *h, *pre, *grad_pre, *grad_h0;
    int64_t wx_step, h_step, grad_h_step;
} Row;

/* One job's private memory. States are (rows, ld), ld a little over the padded hidden size so that rows fall into
 * different cache sets. */
typedef struct {
    const Job *job;
    Row *row;
    int64_t ld;      /* floats from a row to the next in state, new_state, odds, rest, grad */
    int64_t ld_pair; /* the same in pair */
    float *state, *new_state, *odds, *rest; /* state as the product reads it */
    float *grad;                            /* backward: gradient to the state */
    float *pair;                            /* backward: gradients to candidate and gate, side by side */
    float *product;                         /* (panels, MAX_ROWS, PANEL) */
    void *memory;
} Work;

INLINE int64_t padded(int64_t hidden) { return (hidden + PANEL - 1) / PANEL * PANEL; }

INLINE int64_t leading(int64_t width) {
    int64_t ld = width + LANES;
    return ld % 1024 == 0 ? ld + LANES : ld;
}

static int64_t panel_floats(int64_t hidden) { return 2 * padded(hidden) * padded(hidden); }

/* Panel j: for each k the candidate's and the gate's weights of units [j * LANES, (j + 1) * LANES). */
static void pack_forward(int64_t hidden, const float *u, float *panels) {
    for (int64_t first = 0; first < hidden; first += LANES)
        for (int64_t k = 0; k < hidden; k++, panels += PANEL)
            for (int64_t i = 0; i < LANES; i++) {
                int64_t unit = first + i;
                panels[i] = unit < hidden ? u[unit * hidden + k] : 0.0f;
                panels[LANES + i] = unit < hidden ? u[(hidden + unit) * hidden + k] : 0.0f;
            }
}

/* Panel j: for each of 2 * padded(hidden) pre-activations its weights to units [j * PANEL, (j + 1) * PANEL). */
static void pack_backward(int64_t hidden, const float *u, float *panels) {
    const int64_t width = padded(hidden);
    for (int64_t first = 0; first < hidden; first += PANEL)
        for (int64_t k = 0; k < 2 * width; k++, panels += PANEL) {
            int64_t unit = k % width, column = k < width ? unit : hidden + unit;
            for (int64_t i = 0; i < PANEL; i++)
                panels[i] = unit < hidden && first + i < hidden ? u[column * hidden + first + i] : 0.0f;
        }
}

INLINE float *row_of(Tensor4 tensor, int64_t direction, int64_t utterance) {
    return tensor.data ? tensor.data + direction * tensor.direction + utterance * tensor.utterance : NULL;
}

static Row find_row(const Job *job, int64_t index) {
    const int64_t d = index / job->batch, b = index % job->batch, flat = index * job->hidden;
    const int backwards = (job->reversed >> d) & 1;
    Row row = {
        .steps = job->length ? job->length[b] : job->steps,
        .wx = row_of(job->wx, d, b),
        .h = row_of(job->h, d, b),
        .pre = row_of(job->pre, d, b),
        .before = job->h0 + flat,
        .mask = job->mask ? job->mask + flat : NULL,
        .grad_h = row_of(job->grad_h, d, b),
        .grad_pre = row_of(job->grad_pre, d, b),
        .grad_h0 = job->grad_h0 ? job->grad_h0 + flat : NULL,
        .wx_step = backwards ? -job->wx.step : job->wx.step,
        .h_step = backwards ? -job->h.step : job->h.step,
        .grad_h_step = backwards ? -job->grad_h.step : job->grad_h.step,
    };
    if (backwards) {
        row.wx += (row.steps - 1) * job->wx.step;
        row.h += (row.steps - 1) * job->h.step;
        if (row.grad_h) row.grad_h += (row.steps - 1) * job->grad_h.step;
    }
    return row;
}

static int open_work(Work *work, const Job *job) {
    const int64_t width = padded(job->hidden), ld = leading(width), ld_pair = leading(2 * width);
    const int64_t plane = job->rows * ld, floats = 5 * plane + job->rows * ld_pair + MAX_PANELS * MAX_ROWS * PANEL;
    const size_t bytes = (size_t)floats * sizeof(float) + (size_t)job->rows * sizeof(Row);
    float *memory;
    if (posix_memalign((void **)&memory, 4096, bytes)) return 1;
    memset(memory, 0, bytes);
    *work = (Work){.job = job, .ld = ld, .ld_pair = ld_pair, .memory = memory};
    work->product = memory;
    work->pair = work->product + MAX_PANELS * MAX_ROWS * PANEL;
    work->state = work->pair + job->rows * ld_pair;
    work->new_state = work->state + plane;
    work->odds = work->new_state + plane;
    work->rest = work->odds + plane;
    work->grad = work->rest + plane;
    work->row = (Row *)(work->grad + plane);
    for (int64_t r = 0; r < job->rows; r++) work->row[r] = find_row(job, job->order[r]);
    return 0;
}

/* Rows come longest first, so those that still run at step t are the first ones. */
INLINE int64_t rows_running(const Work *work, int64_t running, int64_t t) {
    while (running > 0 && work->row[running - 1].steps <= t) running--;
    return running;
}

#endif
