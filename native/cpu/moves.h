// Operations that only move bytes; a unit is a row.
#pragma once

#include "ops.h"

namespace hass {
namespace {

inline void run_gather_rows(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_move_rows_args *>(arguments);
  for (std::int64_t i = begin; i < end; ++i) {
    std::memcpy(static_cast<char *>(a.y) + i * a.y_stride_bytes,
                static_cast<const char *>(a.x) + a.rows[i] * a.x_stride_bytes, static_cast<std::size_t>(a.row_bytes));
  }
}

inline void run_scatter_rows(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_move_rows_args *>(arguments);
  for (std::int64_t i = begin; i < end; ++i) {
    std::memcpy(static_cast<char *>(a.y) + a.rows[i] * a.y_stride_bytes,
                static_cast<const char *>(a.x) + i * a.x_stride_bytes, static_cast<std::size_t>(a.row_bytes));
  }
}

inline void copy_words(void *target, std::int64_t target_word, const void *source, std::int64_t source_word,
                       std::int64_t words) {
  if (words == 0) return;  // an empty tensor may have no address
  std::memcpy(static_cast<char *>(target) + 4 * target_word, static_cast<const char *>(source) + 4 * source_word,
              static_cast<std::size_t>(words) * 4);
}

inline void run_concat_columns(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_concat_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    copy_words(a.y, r * a.y_stride, a.a, r * a.a_stride, a.a_columns);
    copy_words(a.y, r * a.y_stride + a.a_columns, a.b, r * a.b_stride, a.b_columns);
  }
}

inline void run_slice_columns(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_slice_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    copy_words(a.y, r * a.y_stride, a.x, r * a.x_stride + a.from, a.columns);
  }
}

}  // namespace
}  // namespace hass
