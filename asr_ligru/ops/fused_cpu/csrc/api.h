/* The C interface of the compiled recurrence, as asr_ligru/ops/fused_cpu/library.py declares it to ctypes.
 *
 * One call runs some rows of a batch over the whole sequence. A row is one direction of one utterance: row = d * batch + b.
 * Every row's arithmetic is the same whichever rows share its call, so the split over threads does not change a bit.
 */
#ifndef ASR_LIGRU_API_H
#define ASR_LIGRU_API_H

#include <stdint.h>

#define ASR_LIGRU_ABI 1

enum { CELL_LIGRU = 0, CELL_LIBRU_ARITH = 1, CELL_LIBRU_HARM = 2, CELL_LIBRU_GEO = 3 };

/* A float tensor (direction, utterance, step, unit): strides in floats, units contiguous. */
typedef struct {
    float *data;
    int64_t direction, utterance, step;
} Tensor4;

typedef struct {
    int64_t cell, hidden, batch, steps;
    int64_t rows;          /* how many rows this call runs */
    const int64_t *order;  /* (rows,) which ones; longest first when lengths differ */
    const int64_t *length; /* (batch,) steps of each utterance, or NULL: all of them */
    int64_t reversed;      /* bit d set: direction d walks each utterance's wx and h from its last frame */
    const float *panels;   /* recurrent weights, packed */
    Tensor4 wx;            /* projection, candidate then gate: 2 * hidden units */
    Tensor4 h;             /* states */
    Tensor4 pre;           /* pre-activations in walking order; data may be NULL when not training */
    const float *h0;       /* (directions, batch, hidden) */
    const float *mask;     /* (directions, batch, hidden) or NULL */
    Tensor4 grad_h;        /* backward: gradient to h */
    Tensor4 grad_pre;      /* backward: gradient to pre, in walking order */
    float *grad_h0;        /* backward: (directions, batch, hidden) */
} Job;

/* One instruction set's build of the core. Calls return 0, or 1 when out of memory. */
typedef struct {
    const char *name;
    int64_t lanes;                                                                      /* floats in a vector */
    int64_t (*panel_floats)(int64_t hidden);                                            /* room for either packing */
    void (*pack_forward)(int64_t hidden, const float *u, float *panels);                /* u: (2 * hidden, hidden) */
    void (*pack_backward)(int64_t hidden, const float *u, float *panels);
    int (*forward)(const Job *job);
    int (*backward)(const Job *job);
} Core;

extern const Core core_base;
#ifdef __x86_64__
extern const Core core_avx2, core_avx512;
#endif

#endif
