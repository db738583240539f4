/* The time loops: all rows of a job, step after step, with weights, states and gradients in private aligned memory. */
#ifndef ASR_LIGRU_LOOPS_H
#define ASR_LIGRU_LOOPS_H

#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "panel.h"

#define NOINLINE static __attribute__((noinline))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

/* A row's way through a tensor: a pointer to its first step, and the floats from a step to the next. */
typedef struct {
    float *first;
    int64_t step;
} Walk;

typedef struct {
    int64_t steps;
    Walk wx, h, pre, grad_h, grad_pre;
    const float *h0, *mask;
    float *grad_h0;
} Row;

INLINE float *at_step(Walk walk, int64_t t) { return walk.first + t * walk.step; }

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

/* Where a row's walk over a tensor begins, and how far each step goes. */
static Walk find_walk(Frames tensor, int64_t direction, int64_t first, int backwards) {
    if (!tensor.data) return (Walk){NULL, 0};
    return (Walk){tensor.data + direction * tensor.direction + first * tensor.frame, backwards ? -tensor.frame : tensor.frame};
}

static Row find_row(const Job *job, int64_t index) {
    const int64_t d = index / job->batch, b = index % job->batch, flat = index * job->hidden, steps = job->length[b];
    const int backwards = (job->reversed >> d) & 1;
    const int64_t first = job->start[b] + (backwards ? steps - 1 : 0);
    return (Row){
        .steps = steps,
        .wx = find_walk(job->wx, d, first, backwards),
        .h = find_walk(job->h, d, first, backwards),
        .pre = find_walk(job->pre, d, first, backwards),
        .grad_h = find_walk(job->grad_h, d, first, backwards),
        .grad_pre = find_walk(job->grad_pre, d, first, backwards),
        .h0 = job->h0 + flat,
        .mask = job->mask ? job->mask + flat : NULL,
        .grad_h0 = job->grad_h0 ? job->grad_h0 + flat : NULL,
    };
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
