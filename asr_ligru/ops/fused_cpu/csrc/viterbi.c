/* The best path through each graph of tied states, as asr_ligru/hmm/viterbi.py describes and does it in torch. */
#include "viterbi.h"

#include <math.h>
#include <stdlib.h>

#include "api.h"

typedef struct {
    double score;
    int32_t slot; /* which arc it came over, from 1 on; 0 for none */
} Best;

/* The best that comes over an arc into a state. */
static inline Best enter(const Search *search, const double *alpha, int64_t state) {
    const int64_t first = search->first_arc[state], end = search->first_arc[state + 1];
    Best best = {-INFINITY, 0};
    for (int64_t arc = first; arc < end; arc++) {
        const double score = alpha[search->source[arc]] + search->cost[arc];
        const int better = score > best.score;
        best.score = better ? score : best.score;
        best.slot = better ? (int32_t)(arc - first + 1) : best.slot;
    }
    return best;
}

/* One frame: junctions, which take none, and then the states; slots are 0 where a path stayed or there is none.
 * The arrays of states begin at state 0 of all graphs. */
static void step(const Search *search, int64_t from, int64_t to, const double *score, double *alpha, double *next,
                 int32_t *slots) {
    for (int64_t state = from; state < to; state++) {
        if (search->pdf[state] >= 0) continue;
        const Best moved = enter(search, alpha, state);
        alpha[state] = moved.score;
        slots[state] = moved.slot;
    }
    for (int64_t state = from; state < to; state++) {
        if (search->pdf[state] < 0) continue;
        const Best moved = enter(search, alpha, state);
        const double stayed = alpha[state] + search->stay[state];
        const int goes_on = moved.score > stayed;
        slots[state] = goes_on ? moved.slot : 0;
        next[state] = (goes_on ? moved.score : stayed) + score[search->column[state]];
    }
}

static int64_t back(const Search *search, const int32_t *slots, int64_t state) {
    return slots[state] ? search->source[search->first_arc[state] + slots[state] - 1] : state;
}

/* Follow the best path back from its end; states are counted from the graph's first. */
static void trace(const Search *search, int64_t from, int64_t to, int64_t frames, const int32_t *slots, int64_t state,
                  int64_t *path) {
    for (int64_t t = frames - 1; t >= 0; t--) {
        const int32_t *of_frame = slots + t * (to - from) - from;
        path[t] = state - from;
        if (t) state = back(search, of_frame, state);
        if (t && search->pdf[state] < 0) state = back(search, of_frame, state);
    }
}

static int search_one(const Search *search, int64_t graph) {
    const int64_t from = search->first_state[graph], to = search->first_state[graph + 1], states = to - from;
    const int64_t first = search->first_frame[graph], frames = search->first_frame[graph + 1] - first;
    double *memory = malloc((size_t)(2 * states) * sizeof(double));
    int32_t *slots = malloc((size_t)(frames * states) * sizeof(int32_t));
    if (!memory || !slots) {
        free(memory);
        free(slots);
        return 1;
    }
    double *alpha = memory - from, *next = memory + states - from;
    for (int64_t state = from; state < to; state++)
        alpha[state] = search->initial[state] + search->score[search->column[state]];
    for (int64_t t = 1; t < frames; t++) {
        step(search, from, to, search->score + t * search->scores, alpha, next, slots + t * states - from);
        double *before = alpha;
        alpha = next;
        next = before;
    }
    int64_t last = from;
    double best = -INFINITY;
    for (int64_t state = from; state < to; state++) {
        const double score = search->pdf[state] < 0 ? -INFINITY : alpha[state] + search->final[state];
        if (score > best) {
            best = score;
            last = state;
        }
    }
    search->best[graph] = best;
    trace(search, from, to, frames, slots, last, search->path + first);
    free(memory);
    free(slots);
    return 0;
}

/* Searches the graphs from `begin` to `end`, so that threads can share them. Returns 0, or 1 when out of memory. */
EXPORT int asr_ligru_viterbi(const Search *search, int64_t begin, int64_t end) {
    for (int64_t graph = begin; graph < end; graph++)
        if (search_one(search, graph)) return 1;
    return 0;
}
