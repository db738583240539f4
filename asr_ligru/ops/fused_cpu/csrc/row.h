/* What a call knows of each of its rows, and its private memory. */
#ifndef ASR_LIGRU_ROW_H
#define ASR_LIGRU_ROW_H

#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "panel.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

/* A row's way through a tensor: a pointer to its first step, and the floats from a step to the next. */
typedef struct {
    float *first;
    int64_t step;
} Walk;

typedef struct {
    int64_t steps;
    Walk wx, h, saved, grad_h, grad_wx, grad_v;
    const float *h0, *mask;
    float *grad_h0;
} Row;

/* Everything below is (rows, ld), its pointers to the row in question. */
typedef struct {
    float *fed;           /* what the recurrent product reads: the state, or its negative */
    float *extra, *other; /* private to the cell */
    float *v;             /* forward: the product; backward: its gradient. Gate j begins at j * width */
    float *grad;          /* backward: gradient to the state, its parts one after the other */
} Buffers;

/* One call's private memory. Leading sizes are a little over the padded ones so that rows fall into different cache sets. */
typedef struct {
    const Job *job;
    Row *row;
    int64_t width, ld, ld_v;
    Buffers buffers;
    void *memory;
} Work;

INLINE float *at_step(Walk walk, int64_t t) { return walk.first + t * walk.step; }

INLINE int64_t leading(int64_t size) {
    int64_t ld = round_up(size, PANEL) + LANES;
    return ld % 1024 == 0 ? ld + LANES : ld;
}

INLINE Buffers buffers_of(const Work *work, int64_t r) {
    const Buffers *all = &work->buffers;
    return (Buffers){all->fed + r * work->ld, all->extra + r * work->ld, all->other + r * work->ld,
                     all->v + r * work->ld_v, all->grad + r * work->ld};
}

/* Where a row's walk over a tensor begins, and how far each step goes. */
static Walk find_walk(Frames tensor, int64_t direction, int64_t first, int backwards) {
    if (!tensor.data) return (Walk){NULL, 0};
    float *data = tensor.data + direction * tensor.direction + first * tensor.frame;
    return (Walk){data, backwards ? -tensor.frame : tensor.frame};
}

static Row find_row(const Job *job, int64_t parts, int64_t index) {
    const int64_t d = index / job->batch, b = index % job->batch, steps = job->length[b];
    const int backwards = (job->reversed >> d) & 1;
    const int64_t first = job->start[b] + (backwards ? steps - 1 : 0), at = index * parts * job->hidden;
    return (Row){
        .steps = steps,
        .wx = find_walk(job->wx, d, first, backwards),
        .h = find_walk(job->h, d, first, backwards),
        .saved = find_walk(job->saved, d, first, backwards),
        .grad_h = find_walk(job->grad_h, d, first, backwards),
        .grad_wx = find_walk(job->grad_wx, d, first, backwards),
        .grad_v = find_walk(job->grad_v, d, first, backwards),
        .h0 = job->h0 + at,
        .mask = job->mask ? job->mask + index * job->hidden : NULL,
        .grad_h0 = job->grad_h0 ? job->grad_h0 + at : NULL,
    };
}

static int open_work(Work *work, const Job *job, int64_t gates, int64_t parts) {
    const int64_t width = round_up(job->hidden, LANES), ld = leading(parts * width), ld_v = leading(gates * width);
    const int64_t plane = job->rows * ld, floats = 4 * plane + job->rows * ld_v;
    const size_t bytes = (size_t)floats * sizeof(float) + (size_t)job->rows * sizeof(Row);
    float *memory;
    if (posix_memalign((void **)&memory, 4096, bytes)) return 1;
    memset(memory, 0, bytes);
    Buffers buffers = {memory, memory + plane, memory + 2 * plane, memory + 4 * plane, memory + 3 * plane};
    *work = (Work){job, (Row *)(memory + floats), width, ld, ld_v, buffers, memory};
    for (int64_t r = 0; r < job->rows; r++) work->row[r] = find_row(job, parts, job->order[r]);
    return 0;
}

INLINE V mask_of(const Row *row, int64_t unit, int64_t count) {
    return row->mask ? load_some(row->mask + unit, count) : splat(1.0f);
}

/* The state before step t. */
INLINE const float *state_before(const Row *row, int64_t t) { return t > 0 ? at_step(row->h, t - 1) : row->h0; }

/* Asks for a step's floats ahead of their use: rows lie far apart, and the processor does not foresee the jump. */
INLINE void fetch(Walk walk, int64_t t, int64_t floats) {
    if (!walk.first) return;
    const float *from = at_step(walk, t);
    for (int64_t i = 0; i < floats; i += 16) __builtin_prefetch(from + i);
}

#endif
