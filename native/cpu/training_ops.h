/* Stages of training: the structures of their arguments, on the terms of ops.h. Float32 throughout; what is summed is
 * summed in one order that depends on no thread, so that a resumed run has the bits of one that was not stopped.
 *
 *   PLAIN_LINEAR, MATMUL, ADD_PRODUCT   PANELS (the second matrix -> staging), PRODUCT
 *   ALIGNED_ATTENTION                   PANELS of each kv head's keys and values, ALIGNED_ATTENTION
 *   ALIGNED_ATTENTION_GRADIENT          PANELS of keys, values, q, dy; ALIGNED_QUERIES, ALIGNED_KEYS
 *   DISTILLATION                        PANELS of lm_head, PANELS of its transpose, DISTILLATION
 *   the rest                            the stage of that name
 */
#ifndef HASS_CPU_TRAINING_OPS_H
#define HASS_CPU_TRAINING_OPS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* PANELS: element (i, c) of b [inner, columns], at b[i * inner_stride + c * column_stride], as panels of 16 columns,
 * [columns / 16][inner][16], zeros behind the last column. */
typedef struct hass_cpu_panels_args {
  int64_t inner, columns, inner_stride, column_stride;
  const float *b;
  float *panels; /* aligned to 64 bytes */
} hass_cpu_panels_args;

/* PRODUCT: c [rows, columns] = (c +) a b (+ bias) (+ residual), the inner index ascending; element (r, i) of a is at
 * a[r * a_row_stride + i * a_inner_stride]. */
typedef struct hass_cpu_product_args {
  int64_t rows, columns, inner;
  const float *a;
  int64_t a_row_stride, a_inner_stride;
  const float *panels;   /* of b */
  const float *bias;     /* [columns] or NULL */
  const float *residual; /* [rows, columns] or NULL, of c's stride */
  int32_t is_added;      /* to what c holds */
  float *c;
  int64_t c_stride;
} hass_cpu_product_args;

/* ADD_COLUMN_SUMS: sum [columns] += x [rows, columns], rows ascending.
 * RMS_NORM_WEIGHT_GRADIENT: sum [size] += dy * x * v of each row and group. */
typedef struct hass_cpu_column_sums_args {
  int64_t rows, columns, groups; /* columns: of one group */
  float eps;
  const float *x, *dy; /* [rows, groups * columns] */
  float *sum;
} hass_cpu_column_sums_args;

/* RMS_NORM_GRADIENT: dx [rows, groups * size]. */
typedef struct hass_cpu_norm_gradient_args {
  int64_t rows, groups, size;
  float eps;
  const float *x, *weight, *dy;
  float *dx;
} hass_cpu_norm_gradient_args;

/* SILU_MUL_GRADIENT: of `count` elements, rows * columns. */
typedef struct hass_cpu_silu_gradient_args {
  int64_t rows, columns;
  const float *gate, *up, *dy;
  float *dgate, *dup;
} hass_cpu_silu_gradient_args;

/* SCATTER_ADD_ROWS: y [rows, columns] = 0, then y[indices[i]] += x[i], i ascending. */
typedef struct hass_cpu_scatter_args {
  int64_t rows, columns, count;
  const uint32_t *indices;
  const float *x;
  float *y;
} hass_cpu_scatter_args;

/* PAD_COLUMNS: y [rows, y_columns] = 0 but for x [rows, columns] from column `from` on. */
typedef struct hass_cpu_pad_args {
  int64_t rows, columns, y_columns, from;
  const float *x;
  float *y;
} hass_cpu_pad_args;

/* COPY_ROWS: y = x, rows of `columns` floats. */
typedef struct hass_cpu_copy_args {
  int64_t rows, columns;
  const float *x;
  float *y;
} hass_cpu_copy_args;

/* ALIGNED_ATTENTION, ALIGNED_QUERIES, ALIGNED_KEYS: row r sees slots begins[r] ... ends[r], then
 * near[near_offsets[r] ... near_offsets[r + 1]]. max_near is no less than the near slots of any row. Panels lie kv head
 * by kv head or head by head: those of a transpose are of [size, slots], the others of [slots, size] or [rows, size]. */
typedef struct hass_cpu_aligned_args {
  int64_t rows, slots, heads, kv_heads, size, max_near;
  float scale;
  const float *q;             /* [rows, heads * size] */
  const float *keys, *values; /* [slots, kv_heads * size] */
  const uint32_t *begins, *ends, *near_offsets, *near;
  float *y;     /* [rows, heads * size]; written by ALIGNED_ATTENTION, read by ALIGNED_QUERIES */
  float *shift; /* [rows, heads] likewise */
  const float *dy;
  float *pulls; /* [rows, heads]: sum of dy * y; written by ALIGNED_QUERIES */
  float *dq, *dkeys, *dvalues;
  const float *keys_transposed;   /* all three */
  const float *values_transposed; /* ALIGNED_QUERIES, ALIGNED_KEYS */
  const float *values_panels;     /* ALIGNED_ATTENTION */
  const float *keys_panels;       /* ALIGNED_QUERIES */
  const float *q_panels, *dy_panels; /* ALIGNED_KEYS, by head */
} hass_cpu_aligned_args;

/* DISTILLATION: see hass_program.h. */
typedef struct hass_cpu_distillation_args {
  int64_t rows, columns, vocabulary, k;
  float feature_weight, token_weight, top_weight;
  const float *prediction, *target;            /* [rows, columns] */
  const float *target_probs;                   /* [rows, vocabulary] */
  const float *panels, *transposed;            /* of lm_head^T [columns, vocabulary], of lm_head [vocabulary, columns] */
  const float *feature_weights, *token_weights; /* [rows] */
  float *losses;                               /* [rows, 4] */
  float *gradient;                             /* [rows, columns] */
} hass_cpu_distillation_args;

/* SOFTMAX: y [rows, columns]. */
typedef struct hass_cpu_softmax_args {
  int64_t rows, columns;
  const float *x;
  float *y;
} hass_cpu_softmax_args;

/* GRADIENT_FACTS: facts [rows, 3] of gradient [rows, columns]. */
typedef struct hass_cpu_gradient_facts_args {
  int64_t rows, columns;
  float clip;
  const float *gradient;
  float *facts;
} hass_cpu_gradient_facts_args;

/* ADAM_W */
typedef struct hass_cpu_adam_args {
  int64_t rows, columns;
  float beta1, beta2, eps, clip;
  const float *rates; /* [3] */
  float *parameter, *gradient, *first, *second;
} hass_cpu_adam_args;

#ifdef __cplusplus
}
#endif

#endif
