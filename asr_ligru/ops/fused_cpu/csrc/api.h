/* The C interface of the compiled recurrence, as asr_ligru/ops/fused_cpu/library.py declares it to ctypes.
 *
 * One call runs some rows of a batch over the whole sequence. A row is one direction of one utterance: row = d * batch + b.
 * Every row's arithmetic is the same whichever rows share its call, so the split over threads does not change a bit.
 */
#ifndef ASR_LIGRU_API_H
#define ASR_LIGRU_API_H

#include <stdint.h>

#define ASR_LIGRU_ABI 3
#define EXPORT __attribute__((visibility("default")))

enum { LIGRU, LIBRU_ARITH, LIBRU_HARM, LIBRU_GEO, SLIGRU, GRU, LSTM, CELLS };

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
    double eps;            /* of a layer norm */
    const float *panels;   /* recurrent weights, packed */
    Frames wx;             /* projection of the input, gates * hidden units */
    Frames h;              /* states, parts * hidden units */
    Frames saved;          /* for backward, gates * hidden units; data is NULL when there will be none */
    const float *h0;       /* (directions, batch, parts * hidden) */
    const float *mask;     /* (directions, batch, hidden) or NULL */
    Frames grad_h;         /* backward: gradient to h */
    Frames grad_wx;        /* backward: gradient to wx */
    Frames grad_v;         /* backward: gradient to U h where it differs from that to wx */
    float *grad_h0;        /* backward: (directions, batch, parts * hidden) */
} Job;

/* One instruction set's build of the core. Calls return 0, or 1 when out of memory. */
typedef struct {
    const char *name;
    int64_t lanes;                                              /* floats in a vector */
    int64_t (*panel_floats)(int64_t gates, int64_t hidden);     /* room for either packing */
    void (*pack_forward)(int64_t gates, int64_t hidden, const float *u, float *panels); /* u: (gates * hidden, hidden) */
    void (*pack_backward)(int64_t gates, int64_t hidden, const float *u, float *panels);
    int (*forward)(const Job *job);
    int (*backward)(const Job *job);
} Core;

extern const Core core_base;
#ifdef __x86_64__
extern const Core core_avx2, core_avx512;
#endif

#endif
