// The stages of training. Included after those of row_stages.h, whose functions they use.
#pragma once

#include "matrix_product.h"
#include "aligned_attention.h"
#include "distillation.h"
#include "gradients.h"
#include "optimizer.h"

#define HASS_CPU_TRAINING_STAGES                                                                              \
  run_panels, run_product, run_add_column_sums, run_rms_norm_gradient, run_rms_norm_weight_gradient,          \
      run_silu_mul_gradient, run_rope_gradient, run_scatter_add_rows, run_pad_columns, run_copy_rows,         \
      run_aligned_attention, run_aligned_queries, run_aligned_keys, run_distillation, run_gradient_facts,     \
      run_adam_w, run_softmax,
