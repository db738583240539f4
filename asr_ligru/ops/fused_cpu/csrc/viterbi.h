/* The C interface of the Viterbi search, as asr_ligru/ops/fused_cpu/viterbi.py declares it to ctypes. */
#ifndef ASR_LIGRU_VITERBI_H
#define ASR_LIGRU_VITERBI_H

#include <stdint.h>

/* Graphs side by side, their states and arcs numbered through; S states in all. */
typedef struct {
    const int64_t *first_state; /* (graphs + 1,) */
    const int64_t *first_frame; /* (graphs + 1,) where each path begins in `path`; an utterance has a frame at least */
    const int64_t *first_arc;   /* (S + 1,) of those into each state */
    const int64_t *source;      /* (arcs,) */
    const double *cost;         /* (arcs,) log-probabilities, that of leaving the source included */
    const int64_t *pdf;         /* (S,) negative for a junction */
    const int64_t *column;      /* (S,) of each state's score */
    const double *stay;         /* (S,) log-probability */
    const double *initial;      /* (S,) log-probability to begin with a state */
    const double *final;        /* (S,) log-probability to end with it, that of leaving it included */
    const double *score;        /* (frames, scores) acoustic log-likelihoods */
    int64_t scores;
    int64_t *path; /* the states of each path, from 0 on in each graph */
    double *best;  /* (graphs,) its log-probability; -inf where no path leads through */
} Search;

#endif
