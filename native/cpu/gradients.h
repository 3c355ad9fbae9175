// Gradients of norms, silu, rope, gathers; sums over rows. Rows ascend wherever they are summed.
#pragma once

#include "ops.h"
#include "training_units.h"

namespace hass {
namespace {

inline void run_add_column_sums(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_column_sums_args *>(arguments);
  const std::int64_t first = begin * column_block;
  const std::int64_t last = end * column_block < a.columns ? end * column_block : a.columns;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const float *x = a.x + r * a.columns;
    each_eight(last - first, [&](std::int64_t i, std::int64_t count) {
      float *sum = a.sum + first + i;
      store_some(sum, load_some(sum, count) + load_some(x + first + i, count), count);
    });
  }
}

inline float inverse_root(const float *x, std::int64_t size, float eps) {
  Vec8 squares = splat(0.0f);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    const Vec8 v = load_some(x + i, count);
    squares = squares + v * v;
  });
  return 1.0f / std::sqrt(sum(squares) / static_cast<float>(size) + eps);
}

inline void run_rms_norm_weight_gradient(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_column_sums_args *>(arguments);
  const std::int64_t first = begin * column_block;
  const std::int64_t last = end * column_block < a.columns ? end * column_block : a.columns;
  for (std::int64_t group = 0; group < a.rows * a.groups; ++group) {
    const float *x = a.x + group * a.columns, *dy = a.dy + group * a.columns;
    const Vec8 inverse = splat(inverse_root(x, a.columns, a.eps));
    each_eight(last - first, [&](std::int64_t i, std::int64_t count) {
      float *sum = a.sum + first + i;
      const Vec8 scaled = load_some(x + first + i, count) * inverse;
      store_some(sum, load_some(sum, count) + load_some(dy + first + i, count) * scaled, count);
    });
  }
}

inline void run_rms_norm_gradient(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_norm_gradient_args *>(arguments);
  for (std::int64_t group = begin * a.groups; group < end * a.groups; ++group) {
    const float *x = a.x + group * a.size, *dy = a.dy + group * a.size;
    float *dx = a.dx + group * a.size;
    const float inverse = inverse_root(x, a.size, a.eps);
    Vec8 products = splat(0.0f);
    each_eight(a.size, [&](std::int64_t i, std::int64_t count) {
      const Vec8 scaled = load_some(dy + i, count) * load_some(a.weight + i, count);
      products = products + scaled * load_some(x + i, count);
    });
    const float mean = sum(products) / static_cast<float>(a.size);
    const Vec8 pull = splat(inverse * inverse * inverse * mean);
    each_eight(a.size, [&](std::int64_t i, std::int64_t count) {
      const Vec8 scaled = load_some(dy + i, count) * load_some(a.weight + i, count);
      store_some(dx + i, scaled * splat(inverse) - load_some(x + i, count) * pull, count);
    });
  }
}

inline void run_silu_mul_gradient(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_silu_gradient_args *>(arguments);
  const std::int64_t first = begin * a.columns;
  const Vec8 one = splat(1.0f);
  each_eight((end - begin) * a.columns, [&](std::int64_t at, std::int64_t count) {
    const std::int64_t i = first + at;
    const Vec8 x = load_some(a.gate + i, count), dy = load_some(a.dy + i, count);
    const Vec8 share = one / (one + exponential(negate(x)));
    const Vec8 slope = share * (one + x * (one - share));
    store_some(a.dgate + i, dy * load_some(a.up + i, count) * slope, count);
    store_some(a.dup + i, dy * (x * share), count);
  });
}

inline void rotate_back(const float *x, std::int64_t size, std::int32_t pairing, const float *table, float *y) {
  const std::int64_t half = size / 2, step = pairing == 0 ? 1 : 2, gap = pairing == 0 ? half : 1;
  const float *cosines = table, *sines = table + half;
  for (std::int64_t i = 0; i < half; ++i) {
    const float x0 = x[i * step], x1 = x[i * step + gap], s = -sines[i];
    y[i * step] = x0 * cosines[i] - x1 * s;
    y[i * step + gap] = x1 * cosines[i] + x0 * s;
  }
}

inline void run_rope_gradient(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_rope_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *table = a.table + a.positions[r] * a.size;
    for (std::int64_t g = 0; g < a.groups; ++g) {
      rotate_back(a.x + r * a.x_stride + g * a.size, a.size, a.pairing, table, a.y + r * a.y_stride + g * a.size);
    }
  }
}

inline void run_scatter_add_rows(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_scatter_args *>(arguments);
  const std::int64_t first = begin * column_block;
  const std::int64_t last = end * column_block < a.columns ? end * column_block : a.columns;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t i = first; i < last; ++i) a.y[r * a.columns + i] = 0.0f;
  }
  for (std::int64_t k = 0; k < a.count; ++k) {
    float *y = a.y + a.indices[k] * a.columns + first;
    const float *x = a.x + k * a.columns + first;
    each_eight(last - first, [&](std::int64_t i, std::int64_t count) {
      store_some(y + i, load_some(y + i, count) + load_some(x + i, count), count);
    });
  }
}

inline void run_pad_columns(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_pad_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    float *y = a.y + r * a.y_columns;
    for (std::int64_t i = 0; i < a.y_columns; ++i) {
      y[i] = i >= a.from && i < a.from + a.columns ? a.x[r * a.columns + i - a.from] : 0.0f;
    }
  }
}

inline void run_copy_rows(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_copy_args *>(arguments);
  if (end > begin) {
    std::memcpy(a.y + begin * a.columns, a.x + begin * a.columns,
                static_cast<std::size_t>((end - begin) * a.columns) * sizeof(float));
  }
}

}  // namespace
}  // namespace hass
