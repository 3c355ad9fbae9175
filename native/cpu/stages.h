// The table of one instruction set. Included last in each kernels_*.cc, after the quantized panels of linear.h.
#pragma once

#include "linear_float.h"
#include "linear.h"
#include "training_stages.h"

#define HASS_CPU_STAGES                                                                                   \
  {                                                                                                       \
    run_quantize, run_linear, run_linear_silu_mul, run_embedding, run_rms_norm, run_silu_mul, run_add,    \
        run_mul, run_rope, run_cache_write, run_qkv_finish, run_tree_attention, run_gather_rows,          \
        run_scatter_rows, run_concat_columns, run_slice_columns, run_arg_max, run_top_k, run_log_softmax, \
        run_gumbel_arg_max, HASS_CPU_TRAINING_STAGES                                                      \
  }
