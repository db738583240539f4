/* Packed matrix products: (rows, K) times one or more panels of (K, 2 vectors), kept wholly in registers.
 * Each output is one chain of multiply-adds over k in order: the number of rows or panels taken together changes no bit.
 */
#ifndef ASR_LIGRU_PANEL_H
#define ASR_LIGRU_PANEL_H

#include "vec.h"

#define PANEL (2 * LANES)
#if LANES == 16
#define MAX_ROWS 14 /* 28 sums, 2 weights: 30 of 32 registers */
#else
#define MAX_ROWS 6 /* 12 sums, 2 weights: 14 of 16 registers */
#endif

INLINE void panel_product(const int rows, const int panels, int64_t depth, const float *restrict a, int64_t lda,
                          const float *restrict weights, float *restrict out) {
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
        for (int n = 0; n < 2 * panels; n++) store(out + (n / 2) * MAX_ROWS * PANEL + r * PANEL + (n % 2) * LANES, sum[r][n]);
}

typedef void (*PanelProduct)(int64_t depth, const float *a, int64_t lda, const float *weights, float *out);

#define PRODUCT(rows, panels)                                                                                          \
    static __attribute__((noinline)) void product_##rows##_##panels(int64_t depth, const float *a, int64_t lda,        \
                                                                    const float *weights, float *out) {                \
        panel_product(rows, panels, depth, a, lda, weights, out);                                                      \
    }

PRODUCT(1, 1) PRODUCT(2, 1) PRODUCT(3, 1) PRODUCT(4, 1) PRODUCT(5, 1) PRODUCT(6, 1)
PRODUCT(1, 2) PRODUCT(2, 2) PRODUCT(3, 2)
#if LANES == 16
PRODUCT(7, 1) PRODUCT(8, 1) PRODUCT(9, 1) PRODUCT(10, 1) PRODUCT(11, 1) PRODUCT(12, 1) PRODUCT(13, 1) PRODUCT(14, 1)
PRODUCT(4, 2) PRODUCT(5, 2) PRODUCT(6, 2)
PRODUCT(1, 4) PRODUCT(2, 4) PRODUCT(3, 4)
#define MAX_PANELS 4
static const PanelProduct products_of_four[] = {0, product_1_4, product_2_4, product_3_4};
static const PanelProduct products_of_two[] = {0, product_1_2, product_2_2, product_3_2, product_4_2, product_5_2, product_6_2};
static const PanelProduct products_of_one[] = {
    0, product_1_1, product_2_1, product_3_1, product_4_1, product_5_1, product_6_1, product_7_1, product_8_1, product_9_1,
    product_10_1, product_11_1, product_12_1, product_13_1, product_14_1};
#else
#define MAX_PANELS 2
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

#endif
