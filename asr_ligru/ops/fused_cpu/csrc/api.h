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

/* A float tensor (direction, frame, unit) over the frames of all utterances, one after the other: strides in floats,
 * units contiguous. */
typedef struct {
    float *data;
    int64_t direction, frame;
} Frames;

typedef struct {
    int64_t cell, hidden, batch;
    int64_t rows;          /* how many rows this call runs */
    const int64_t *order;  /* (rows,) which ones, longest first */
    const int64_t *start;  /* (batch,) first frame of each utterance */
    const int64_t *length; /* (batch,) how many frames it has */
    int64_t reversed;      /* bit d set: direction d walks each utterance from its last frame to its first */
    const float *panels;   /* recurrent weights, packed */
    Frames wx;             /* projection, candidate then gate: 2 * hidden units */
    Frames h;              /* states */
    Frames pre;            /* pre-activations, saved for backward; data is NULL when there will be none */
    const float *h0;       /* (directions, batch, hidden) */
    const float *mask;     /* (directions, batch, hidden) or NULL */
    Frames grad_h;         /* backward: gradient to h */
    Frames grad_pre;       /* backward: gradient to pre */
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
