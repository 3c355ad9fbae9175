// All launchers by stage.
#pragma once

#include "launchers.h"

namespace hass::cuda {

// The arguments of any stage, with the number of rows first.
union StageArguments {
  std::int64_t rows;
  hass_cpu_quantize_args quantize;
  hass_cpu_linear_args linear;
  hass_cpu_embedding_args embedding;
  hass_cpu_rms_norm_args rms_norm;
  hass_cpu_binary_args binary;
  hass_cpu_rope_args rope;
  hass_cpu_cache_write_args cache_write;
  hass_cpu_qkv_finish_args qkv_finish;
  hass_cpu_attention_args attention;
  hass_cpu_move_rows_args move_rows;
  hass_cpu_concat_args concat;
  hass_cpu_slice_args slice;
  hass_cpu_rows_args row_wise;
  hass_cpu_gumbel_args gumbel;
};

// Whether there are kernels for it.
bool has_stage(hass_cpu_stage stage);
// Throws Failure UNSUPPORTED where there are none.
StageArguments copy_arguments(hass_cpu_stage stage, const void *arguments);
std::size_t scratch_bytes(hass_cpu_stage stage, const StageArguments &arguments);
void launch_stage(const Launch &to, hass_cpu_stage stage, const StageArguments &arguments);

}  // namespace hass::cuda
