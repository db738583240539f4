/* Matrix products with a packed right side: (rows, depth) times panels of (depth, 2 vectors), sums kept in registers.
 * Each output is one chain of multiply-adds over k in order: the number of rows or panels taken together changes no bit.
 */
#ifndef ASR_LIGRU_PANEL_H
#define ASR_LIGRU_PANEL_H

#include <stddef.h>

#include "vec.h"

#define PANEL (2 * LANES)
#define PACKED_AT_ONCE 64 /* steps of k whose panel stays in the fastest cache while columns are written into it */
#if LANES == 16
#define MAX_ROWS 14 /* 28 sums, 2 weights: 30 of 32 registers */
#else
#define MAX_ROWS 6 /* 12 sums, 2 weights: 14 of 16 registers */
#endif

INLINE void panel_product(const int rows, const int panels, int64_t depth, const float *restrict a, int64_t lda,
                          const float *restrict weights, float *restrict out, int64_t ldo, int add) {
    V sum[MAX_ROWS][8];
    const int64_t panel_size = depth * PANEL;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int n = 0; n < 2 * panels; n++) sum[r][n] = (V){0};
    for (int64_t k = 0; k < depth; k++) {
        V w[8];
#pragma GCC unroll 8
        for (int n = 0; n < 2 * panels; n++) w[n] = load(weights + (n / 2) * panel_size + k * PANEL + (n % 2) * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            V x = splat(a[r * lda + k]);
#pragma GCC unroll 8
            for (int n = 0; n < 2 * panels; n++) sum[r][n] += x * w[n];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int n = 0; n < 2 * panels; n++) {
            float *to = out + r * ldo + n * LANES;
            if (add) sum[r][n] += load(to);
            store(to, sum[r][n]);
        }
}

typedef void (*PanelProduct)(int64_t depth, const float *a, int64_t lda, const float *weights, float *out, int64_t ldo,
                             int add);

#define PRODUCT(rows, panels)                                                                                          \
    static __attribute__((noinline)) void product_##rows##_##panels(                                                   \
        int64_t depth, const float *a, int64_t lda, const float *weights, float *out, int64_t ldo, int add) {          \
        panel_product(rows, panels, depth, a, lda, weights, out, ldo, add);                                            \
    }

PRODUCT(1, 1) PRODUCT(2, 1) PRODUCT(3, 1) PRODUCT(4, 1) PRODUCT(5, 1) PRODUCT(6, 1)
PRODUCT(1, 2) PRODUCT(2, 2) PRODUCT(3, 2)
#if LANES == 16
PRODUCT(7, 1) PRODUCT(8, 1) PRODUCT(9, 1) PRODUCT(10, 1) PRODUCT(11, 1) PRODUCT(12, 1) PRODUCT(13, 1) PRODUCT(14, 1)
PRODUCT(4, 2) PRODUCT(5, 2) PRODUCT(6, 2)
PRODUCT(1, 4) PRODUCT(2, 4) PRODUCT(3, 4)
static const PanelProduct products_of_four[] = {0, product_1_4, product_2_4, product_3_4};
static const PanelProduct products_of_two[] = {0, product_1_2, product_2_2, product_3_2, product_4_2, product_5_2, product_6_2};
static const PanelProduct products_of_one[] = {
    0, product_1_1, product_2_1, product_3_1, product_4_1, product_5_1, product_6_1, product_7_1, product_8_1, product_9_1,
    product_10_1, product_11_1, product_12_1, product_13_1, product_14_1};
#else
static const PanelProduct products_of_two[] = {0, product_1_2, product_2_2, product_3_2};
static const PanelProduct products_of_one[] = {0, product_1_1, product_2_1, product_3_1, product_4_1, product_5_1, product_6_1};
#endif

/* How many panels to take together with this many rows, so that the multiply-add pipes stay full. */
static int panels_together(int64_t rows, int64_t left) {
#if LANES == 16
    if (rows <= 3 && left >= 4) return 4;
    if (rows <= 6 && left >= 2) return 2;
#else
    if (rows <= 3 && left >= 2) return 2;
#endif
    return 1;
}

static PanelProduct product_for(int64_t rows, int panels) {
#if LANES == 16
    if (panels == 4) return products_of_four[rows];
#endif
    return panels == 2 ? products_of_two[rows] : products_of_one[rows];
}

/* out (+)= a @ weights. */
static void multiply(int64_t rows, int64_t depth, const float *a, int64_t lda, int64_t panels, const float *weights,
                     float *out, int64_t ldo, int add) {
    const int64_t groups = (rows + MAX_ROWS - 1) / MAX_ROWS;
    for (int64_t panel = 0, together; panel < panels; panel += together) {
        together = panels_together((rows + groups - 1) / groups, panels - panel);
        for (int64_t group = 0, first = 0, count; group < groups; group++, first += count) {
            count = (rows - first + groups - group - 1) / (groups - group);
            product_for(count, (int)together)(depth, a + first * lda, lda, weights + panel * depth * PANEL,
                                              out + first * ldo + panel * PANEL, ldo, add);
        }
    }
}

INLINE int64_t round_up(int64_t size, int64_t unit) { return (size + unit - 1) / unit * unit; }

/* Gates are padded to whole vectors, so that each begins at one. */
static int64_t panel_floats(int64_t gates, int64_t hidden) {
    return round_up(gates * round_up(hidden, LANES), PANEL) * round_up(hidden, PANEL);
}

/* For v = h U': each k is a unit of h, columns are gates one after the other. Rows of u are read in order. */
static void pack_forward(int64_t gates, int64_t hidden, const float *u, float *panels) {
    const int64_t width = round_up(hidden, LANES);
    for (int64_t first = 0; first < gates * width; first += PANEL, panels += hidden * PANEL)
        for (int64_t from = 0; from < hidden; from += PACKED_AT_ONCE)
            for (int64_t i = 0; i < PANEL; i++) {
                const int64_t gate = (first + i) / width, unit = (first + i) % width;
                const float *row = gate < gates && unit < hidden ? u + (gate * hidden + unit) * hidden : NULL;
                for (int64_t k = from; k < hidden && k < from + PACKED_AT_ONCE; k++)
                    panels[k * PANEL + i] = row ? row[k] : 0.0f;
            }
}

/* For grad_h = grad_v U: each k is a unit of a gate, columns are units of h. */
static void pack_backward(int64_t gates, int64_t hidden, const float *u, float *panels) {
    const int64_t width = round_up(hidden, LANES);
    for (int64_t first = 0; first < hidden; first += PANEL)
        for (int64_t k = 0; k < gates * width; k++, panels += PANEL) {
            const float *row = u + (k / width * hidden + k % width) * hidden + first;
            for (int64_t i = 0; i < PANEL; i++) panels[i] = k % width < hidden && first + i < hidden ? row[i] : 0.0f;
        }
}

#endif
