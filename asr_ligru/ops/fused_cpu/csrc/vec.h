/* Vectors of floats through the compiler's vector extension, and the few functions a gate needs on them.
 * LANES comes from the including file. Comparisons are arranged so that NaN goes through and is never replaced.
 */
#ifndef ASR_LIGRU_VEC_H
#define ASR_LIGRU_VEC_H

#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

typedef float V __attribute__((vector_size(4 * LANES), may_alias));
typedef float VAny __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* at any address */
typedef int32_t VI __attribute__((vector_size(4 * LANES), may_alias));

INLINE V load(const float *from) { return *(const VAny *)from; }
INLINE void store(float *to, V value) { *(VAny *)to = value; }
INLINE V splat(float value) { return value - (V){0}; }
INLINE V choose(VI condition, V yes, V no) { return (V)((condition & (VI)yes) | (~condition & (VI)no)); }
INLINE V at_least(V x, float low) { return choose(x < low, splat(low), x); }
INLINE V at_most(V x, float high) { return choose(x > high, splat(high), x); }

/* The first `count` floats, zeros after them. */
INLINE V load_some(const float *from, int64_t count) {
    if (count >= LANES) return load(from);
    V value = {0};
    for (int64_t i = 0; i < count; i++) value[i] = from[i];
    return value;
}

INLINE void store_some(float *to, V value, int64_t count) {
    if (count >= LANES) {
        store(to, value);
        return;
    }
    for (int64_t i = 0; i < count; i++) to[i] = value[i];
}

/* exp on [-87, 88], flat outside; 1 ulp. Cody-Waite reduction, polynomial of S. Moshier's Cephes expf. */
INLINE V vexp(V x) {
    const float shifter = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    x = at_most(at_least(x, -87.0f), 88.0f);
    V shifted = x * 1.44269504088896341f + shifter;
    VI exponent = (VI)shifted - (VI)splat(shifter);
    V n = shifted - shifter;
    V r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    V y = p * (r * r) + r + 1.0f;
    return (V)((VI)y + (exponent << 23));
}

/* log(1 + f) + exponent * log 2 for f in [sqrt(1/2) - 1, sqrt(2) - 1]; polynomial of Cephes logf. */
INLINE V log_reduced(V f, V exponent) {
    V p = f * 7.0376836292e-2f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    V square = f * f;
    V y = p * f * square - exponent * 2.12194440e-4f - 0.5f * square;
    return f + y + exponent * 0.693359375f;
}

/* log(1 + f) given also total = 1 + f rounded: no cancellation near f = 0. total must be a normal positive number. */
INLINE V vlog1p_of(V f, V total) {
    const int32_t root_half = 0x3f3504f3; /* bits of sqrt(1/2) */
    VI shifted = (VI)total - root_half;
    VI exponent = shifted >> 23;
    V mantissa = (V)((VI)total - (exponent << 23)); /* in [sqrt(1/2), sqrt(2)) */
    V reduced = choose(exponent == 0, f, mantissa - 1.0f);
    return log_reduced(reduced, __builtin_convertvector(exponent, V)) + (total - total); /* NaN stays NaN */
}

INLINE V sigmoid(V x) { return 1.0f / (1.0f + vexp(-x)); }

/* sigmoid(x) and sigmoid(-x), each with its own full relative accuracy. */
typedef struct {
    V yes, no;
} Pair;

INLINE Pair sigmoids(V x) {
    V small = vexp(choose(x < 0.0f, x, -x)); /* e^-|x| */
    V high = 1.0f / (1.0f + small), low = small * high;
    return (Pair){.yes = choose(x < 0.0f, low, high), .no = choose(x < 0.0f, high, low)};
}

/* log(1 + e^x) and its derivative sigmoid(x). */
typedef struct {
    V value, slope;
} Softplus;

INLINE Softplus softplus_with_slope(V x) {
    V small = vexp(choose(x < 0.0f, x, -x)); /* e^-|x| */
    V total = 1.0f + small, high = 1.0f / total;
    V value = choose(x < 0.0f, splat(0.0f), x) + vlog1p_of(small, total);
    return (Softplus){.value = value, .slope = choose(x < 0.0f, small * high, high)};
}

INLINE V softplus(V x) { return softplus_with_slope(x).value; }

/* Polynomial of Cephes tanhf near 0, where the exponential form would cancel. */
INLINE V vtanh(V x) {
    V square = x * x;
    V p = square * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    V far = 1.0f - 2.0f / (1.0f + vexp(x + x));
    return choose(square < 0.390625f, x + x * square * p, far);
}

INLINE int any(VI condition) {
    int32_t found = 0;
    for (int i = 0; i < LANES; i++) found |= condition[i];
    return found != 0;
}

INLINE float total(V x) {
    float sum = 0.0f;
    for (int i = 0; i < LANES; i++) sum += x[i];
    return sum;
}

#endif
