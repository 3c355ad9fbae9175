/* The CPU kernels as the runtime sees them: stages over raw pointers, cut into units of work.
 *
 * An operation of a program is one stage, or a few with a barrier between them:
 *
 *   LINEAR, packed weight, block 16 | 32   QUANTIZE (x -> quantized), LINEAR
 *   LINEAR otherwise                       LINEAR
 *   LINEAR_SILU_MUL                        as LINEAR, with LINEAR_SILU_MUL in place of LINEAR
 *   ADD_RMS_NORM                           RMS_NORM with residual and hidden set
 *   QKV_ROPE_CACHE                         as LINEAR into qkv, then QKV_FINISH
 *   CACHE_COPY                             GATHER_ROWS into staging memory of [L, N], SCATTER_ROWS
 *   CACHE_WRITE                            CACHE_WRITE
 *   the rest                               the stage of that name
 *
 * A stage runs as run(args, begin, end, scratch) on disjoint ranges of [0, hass_cpu_units(stage, args)), in any order,
 * on any threads, each with scratch memory of its own. The bits of a result depend on none of that (NUMERICS.md).
 * Kernels allocate nothing, start nothing, throw nothing and check nothing: shapes, indices (tokens, positions, slots,
 * rows, offsets) and duplicates have been checked by whoever calls. Float rounding is the default one, with
 * subnormals. Pointers of packed weights, quantized rows and scratch memory are aligned to 64 bytes, all others to
 * their elements. Outputs overlap no input unless it is said. All matrices are row-major; strides count elements.
 */
#ifndef HASS_CPU_OPS_H
#define HASS_CPU_OPS_H

#include <stddef.h>
#include <stdint.h>

#include "../include/hass_backend.h"
#include "../include/hass_program.h"
#include "training_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hass_cpu_stage {
  HASS_CPU_QUANTIZE = 0,
  HASS_CPU_LINEAR,
  HASS_CPU_LINEAR_SILU_MUL,
  HASS_CPU_EMBEDDING,
  HASS_CPU_RMS_NORM,
  HASS_CPU_SILU_MUL,
  HASS_CPU_ADD,
  HASS_CPU_MUL,
  HASS_CPU_ROPE,
  HASS_CPU_CACHE_WRITE,
  HASS_CPU_QKV_FINISH,
  HASS_CPU_TREE_ATTENTION,
  HASS_CPU_GATHER_ROWS,
  HASS_CPU_SCATTER_ROWS,
  HASS_CPU_CONCAT_COLUMNS,
  HASS_CPU_SLICE_COLUMNS,
  HASS_CPU_ARG_MAX,
  HASS_CPU_TOP_K,
  HASS_CPU_LOG_SOFTMAX,
  HASS_CPU_GUMBEL_ARG_MAX,
  /* Of training; their arguments are in training_ops.h. */
  HASS_CPU_PANELS,
  HASS_CPU_PRODUCT,
  HASS_CPU_ADD_COLUMN_SUMS,
  HASS_CPU_RMS_NORM_GRADIENT,
  HASS_CPU_RMS_NORM_WEIGHT_GRADIENT,
  HASS_CPU_SILU_MUL_GRADIENT,
  HASS_CPU_ROPE_GRADIENT,
  HASS_CPU_SCATTER_ADD_ROWS,
  HASS_CPU_PAD_COLUMNS,
  HASS_CPU_COPY_ROWS,
  HASS_CPU_ALIGNED_ATTENTION,
  HASS_CPU_ALIGNED_QUERIES,
  HASS_CPU_ALIGNED_KEYS,
  HASS_CPU_DISTILLATION,
  HASS_CPU_GRADIENT_FACTS,
  HASS_CPU_ADAM_W,
  HASS_CPU_SOFTMAX,
  HASS_CPU_NUM_STAGES,
} hass_cpu_stage;

/* QUANTIZE: x [rows, in] -> quantized, rows x hass_cpu_quantized_row_bytes(in, block). in is a multiple of 32. */
typedef struct hass_cpu_quantize_args {
  int64_t rows, in;
  int32_t block; /* 16 or 32 */
  const float *x;
  int64_t x_stride;
  void *quantized;
} hass_cpu_quantize_args;

/* LINEAR: y [rows, out] = x [rows, in] weight^T + bias + residual.
 * LINEAR_SILU_MUL: out counts gate and up together (2F), y is [rows, F], residual NULL. */
typedef struct hass_cpu_linear_args {
  int64_t rows, in, out;
  int32_t weight_dtype;     /* HASS_F32, HASS_F16, HASS_BF16, HASS_Q4, HASS_Q8, HASS_Q4K, HASS_F8 */
  int32_t activation_block; /* 0; 16 or 32 with Q4, Q8, Q4K */
  const void *weight;       /* as hass_cpu_pack wrote it */
  const void *quantized;    /* of the QUANTIZE stage; used if activation_block is not 0 */
  const float *x;           /* used if activation_block is 0 */
  int64_t x_stride;
  const float *bias;     /* [out] or NULL */
  const float *residual; /* [rows, out] or NULL */
  int64_t residual_stride;
  float *y;
  int64_t y_stride;
} hass_cpu_linear_args;

/* EMBEDDING: y [rows, in] = rows `tokens` of a packed weight [out, in]. */
typedef struct hass_cpu_embedding_args {
  int64_t rows, in, out;
  int32_t weight_dtype;
  const void *weight;
  const uint32_t *tokens; /* [rows] */
  float *y;
  int64_t y_stride;
} hass_cpu_embedding_args;

/* RMS_NORM: y [rows, groups * size], each group of `size` normalised and times weight [size].
 * With residual: hidden = x + residual is written, and normalised in place of x. y or hidden may be x. */
typedef struct hass_cpu_rms_norm_args {
  int64_t rows, groups, size;
  float eps;
  const float *x;
  int64_t x_stride;
  const float *residual; /* [rows, groups * size] or NULL */
  int64_t residual_stride;
  float *hidden; /* [rows, groups * size]; NULL without residual */
  int64_t hidden_stride;
  const float *weight;
  float *y;
  int64_t y_stride;
} hass_cpu_rms_norm_args;

/* SILU_MUL (a: gate, b: up), ADD, MUL: y [rows, columns]. y may be a or b. */
typedef struct hass_cpu_binary_args {
  int64_t rows, columns;
  const float *a;
  int64_t a_stride;
  const float *b;
  int64_t b_stride;
  float *y;
  int64_t y_stride;
} hass_cpu_binary_args;

/* ROPE: y [rows, groups * size]; table [positions, size], cosines then sines. y may be x. */
typedef struct hass_cpu_rope_args {
  int64_t rows, groups, size;
  int32_t pairing;
  const uint32_t *positions; /* [rows] */
  const float *table;
  const float *x;
  int64_t x_stride;
  float *y;
  int64_t y_stride;
} hass_cpu_rope_args;

/* CACHE_WRITE: row r of x [rows, columns] into row slots[r] of cache. */
typedef struct hass_cpu_cache_write_args {
  int64_t rows, columns;
  int32_t cache_dtype; /* HASS_F32, HASS_F16, HASS_BF16 */
  const uint32_t *slots;
  const float *x;
  int64_t x_stride;
  void *cache;
  int64_t cache_stride;
} hass_cpu_cache_write_args;

/* QKV_FINISH: of qkv [rows, (heads + 2 kv_heads) * size], which is overwritten: norms of q and k heads where a weight
 * is given, rope of q into q [rows, heads * size], rope of k into keys and v into values at slots. */
typedef struct hass_cpu_qkv_finish_args {
  int64_t rows, heads, kv_heads, size;
  int32_t pairing, cache_dtype;
  float eps;
  float *qkv;
  int64_t qkv_stride;
  const float *q_norm; /* [size] or NULL */
  const float *k_norm; /* [size] or NULL */
  const uint32_t *positions;
  const float *table;
  const uint32_t *slots;
  float *q;
  int64_t q_stride;
  void *keys, *values;
  int64_t cache_stride;
} hass_cpu_qkv_finish_args;

/* TREE_ATTENTION: see hass_program.h. max_context is no less than the context of any row
 * (its sequence's committed slots and its ancestor slots); scratch memory grows with it. */
typedef struct hass_cpu_attention_args {
  int64_t rows, heads, kv_heads, size;
  float scale;
  int32_t cache_dtype;
  int64_t max_context;
  const float *q;
  int64_t q_stride;
  const void *keys, *values;
  int64_t cache_stride;
  const uint32_t *row_sequence, *sequence_offsets, *context_slots, *ancestor_offsets, *ancestor_slots;
  float *y;
  int64_t y_stride;
} hass_cpu_attention_args;

/* GATHER_ROWS: y[i] = x[rows[i]]. SCATTER_ROWS: y[rows[i]] = x[i]. i < count; strides in bytes here. */
typedef struct hass_cpu_move_rows_args {
  int64_t count, row_bytes;
  const uint32_t *rows;
  const void *x;
  int64_t x_stride_bytes;
  void *y;
  int64_t y_stride_bytes;
} hass_cpu_move_rows_args;

/* CONCAT_COLUMNS: y [rows, a_columns + b_columns] of 4-byte elements. */
typedef struct hass_cpu_concat_args {
  int64_t rows, a_columns, b_columns;
  const void *a;
  int64_t a_stride;
  const void *b;
  int64_t b_stride;
  void *y;
  int64_t y_stride;
} hass_cpu_concat_args;

/* SLICE_COLUMNS: y [rows, columns] = x [:, from ... from + columns] of 4-byte elements. */
typedef struct hass_cpu_slice_args {
  int64_t rows, columns, from;
  const void *x;
  int64_t x_stride;
  void *y;
  int64_t y_stride;
} hass_cpu_slice_args;

/* ARG_MAX: token. TOP_K: ids and values [rows, k], k <= columns. LOG_SOFTMAX: y (may be x). */
typedef struct hass_cpu_rows_args {
  int64_t rows, columns, k;
  const float *x;
  int64_t x_stride;
  uint32_t *token; /* [rows] */
  uint32_t *ids;   /* [rows, k] */
  float *values;   /* [rows, k] */
  float *y;
  int64_t y_stride;
} hass_cpu_rows_args;

/* GUMBEL_ARG_MAX: see hass_program.h. */
typedef struct hass_cpu_gumbel_args {
  int64_t rows, columns;
  const float *x;
  int64_t x_stride;
  const double *temperatures; /* [rows] */
  const uint32_t *positions;  /* [rows] */
  const uint32_t *seeds;      /* [rows, 2] */
  uint32_t *token;            /* [rows] */
} hass_cpu_gumbel_args;

typedef void (*hass_cpu_run)(const void *args, int64_t begin, int64_t end, void *scratch);

typedef struct hass_cpu_kernels {
  const char *isa;
  hass_cpu_run run[HASS_CPU_NUM_STAGES]; /* indexed by hass_cpu_stage, none is NULL */
} hass_cpu_kernels;

/* Instruction sets of this build that this processor has, best last. Returns their number. */
int32_t hass_cpu_isa_names(const char **names, int32_t capacity);
/* NULL or "auto": the best. NULL is returned for a name that is not among hass_cpu_isa_names. */
const hass_cpu_kernels *hass_cpu_select(const char *isa);

int64_t hass_cpu_units(hass_cpu_stage stage, const void *args);
/* Bytes of scratch memory per thread; 0 for most. */
size_t hass_cpu_scratch_bytes(hass_cpu_stage stage, const void *args);
/* Rough nanoseconds of the whole stage on one thread, weights from memory: what is worth sharing, and how finely. */
double hass_cpu_cost(hass_cpu_stage stage, const void *args);

size_t hass_cpu_quantized_row_bytes(int64_t in, int32_t block);

/* Weights [out, in] in the kernels' layout, the same for all instruction sets. 0 if dtype or in do not fit. */
size_t hass_cpu_packed_bytes(int32_t dtype, int64_t out, int64_t in);
/* Bytes of one row of a file format; 0 if in does not fit. */
size_t hass_cpu_format_row_bytes(hass_format format, int64_t in);
/* Converts rows [first_row, first_row + num_rows) from file bytes of any alignment. `packed` was zeroed when it was
 * made. Besides the exact conversions, floats are quantized into Q4 and Q8 (NUMERICS.md).
 * HASS_STATUS_UNSUPPORTED: no such conversion. HASS_STATUS_INVALID_ARGUMENT: a Q4_0 scale whose eightfold is no float16. */
hass_status hass_cpu_pack(int32_t dtype, int64_t out, int64_t in, hass_format format, int64_t first_row,
                          int64_t num_rows, const void *source, void *packed);

#ifdef __cplusplus
}
#endif

#endif
