// Norms, rope, elementwise operations and cache writes; a unit is a row.
#pragma once

#include "ops.h"

namespace hass {
namespace {

// function(offset, count): eight elements at a time, fewer at the end.
template <class Function>
inline void each_eight(std::int64_t size, Function function) {
  std::int64_t i = 0;
  for (; i + 8 <= size; i += 8) function(i, 8);
  if (i < size) function(i, size - i);
}

inline Vec8 load_some(const float *source, std::int64_t count) {
  return count == 8 ? load(source) : load_first(source, count);
}

inline void store_some(float *target, Vec8 a, std::int64_t count) {
  if (count == 8) {
    store(target, a);
  } else {
    store_first(target, a, count);
  }
}

// y may be x.
inline void normalise(const float *x, std::int64_t size, float eps, const float *weight, float *y) {
  Vec8 squares = splat(0.0f);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    const Vec8 v = load_some(x + i, count);
    squares = squares + v * v;
  });
  const float scale = 1.0f / std::sqrt(sum(squares) / static_cast<float>(size) + eps);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    store_some(y + i, load_some(x + i, count) * splat(scale) * load_some(weight + i, count), count);
  });
}

inline void run_rms_norm(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_rms_norm_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *x = a.x + r * a.x_stride;
    if (a.residual) {
      const float *residual = a.residual + r * a.residual_stride;
      float *hidden = a.hidden + r * a.hidden_stride;
      each_eight(a.groups * a.size, [&](std::int64_t i, std::int64_t count) {
        store_some(hidden + i, load_some(x + i, count) + load_some(residual + i, count), count);
      });
      x = hidden;
    }
    for (std::int64_t g = 0; g < a.groups; ++g) {
      normalise(x + g * a.size, a.size, a.eps, a.weight, a.y + r * a.y_stride + g * a.size);
    }
  }
}

template <class Function>
inline void run_binary(const void *arguments, std::int64_t begin, std::int64_t end, Function function) {
  const auto &a = *static_cast<const hass_cpu_binary_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *left = a.a + r * a.a_stride;
    const float *right = a.b + r * a.b_stride;
    float *y = a.y + r * a.y_stride;
    each_eight(a.columns, [&](std::int64_t i, std::int64_t count) {
      store_some(y + i, function(load_some(left + i, count), load_some(right + i, count)), count);
    });
  }
}

inline void run_silu_mul(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  run_binary(arguments, begin, end, [](Vec8 gate, Vec8 up) { return silu(gate) * up; });
}

inline void run_add(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  run_binary(arguments, begin, end, [](Vec8 a, Vec8 b) { return a + b; });
}

inline void run_mul(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  run_binary(arguments, begin, end, [](Vec8 a, Vec8 b) { return a * b; });
}

// One head; y may be x.
inline void rotate(const float *x, std::int64_t size, std::int32_t pairing, const float *table, float *y) {
  const std::int64_t half = size / 2;
  const float *cosines = table, *sines = table + half;
  if (pairing == 0) {
    each_eight(half, [&](std::int64_t i, std::int64_t count) {
      const Vec8 x0 = load_some(x + i, count), x1 = load_some(x + half + i, count);
      const Vec8 c = load_some(cosines + i, count), s = load_some(sines + i, count);
      store_some(y + i, x0 * c - x1 * s, count);
      store_some(y + half + i, x1 * c + x0 * s, count);
    });
    return;
  }
  for (std::int64_t i = 0; i < half; ++i) {
    const float x0 = x[2 * i], x1 = x[2 * i + 1];
    y[2 * i] = x0 * cosines[i] - x1 * sines[i];
    y[2 * i + 1] = x1 * cosines[i] + x0 * sines[i];
  }
}

inline void run_rope(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_rope_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    const float *table = a.table + a.positions[r] * a.size;
    for (std::int64_t g = 0; g < a.groups; ++g) {
      rotate(a.x + r * a.x_stride + g * a.size, a.size, a.pairing, table, a.y + r * a.y_stride + g * a.size);
    }
  }
}

inline void narrow(const float *x, std::int64_t size, std::int32_t dtype, void *target) {
  if (dtype == HASS_F32) {
    std::memcpy(target, x, static_cast<std::size_t>(size) * sizeof(float));
    return;
  }
  auto *halves = static_cast<std::uint16_t *>(target);
  std::int64_t i = 0;
  for (; i + 8 <= size; i += 8) {
    if (dtype == HASS_F16) {
      store_half(halves + i, load(x + i));
    } else {
      store_bfloat(halves + i, load(x + i));
    }
  }
  for (; i < size; ++i) halves[i] = dtype == HASS_F16 ? half_of_float(x[i]) : bfloat_of_float(x[i]);
}

inline void *cache_row(void *cache, std::int64_t stride, std::int32_t dtype, std::uint32_t slot) {
  return static_cast<char *>(cache) + slot * stride * (dtype == HASS_F32 ? 4 : 2);
}

inline void run_cache_write(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_cache_write_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    narrow(a.x + r * a.x_stride, a.columns, a.cache_dtype,
           cache_row(a.cache, a.cache_stride, a.cache_dtype, a.slots[r]));
  }
}

inline void run_qkv_finish(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_qkv_finish_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) {
    float *q = a.qkv + r * a.qkv_stride;
    float *k = q + a.heads * a.size;
    const float *v = k + a.kv_heads * a.size;
    const float *table = a.table + a.positions[r] * a.size;
    for (std::int64_t h = 0; h < a.heads; ++h) {
      float *head = q + h * a.size;
      if (a.q_norm) normalise(head, a.size, a.eps, a.q_norm, head);
      rotate(head, a.size, a.pairing, table, a.q + r * a.q_stride + h * a.size);
    }
    for (std::int64_t g = 0; g < a.kv_heads; ++g) {
      float *head = k + g * a.size;
      if (a.k_norm) normalise(head, a.size, a.eps, a.k_norm, head);
      rotate(head, a.size, a.pairing, table, head);
    }
    const std::int64_t columns = a.kv_heads * a.size;
    narrow(k, columns, a.cache_dtype, cache_row(a.keys, a.cache_stride, a.cache_dtype, a.slots[r]));
    narrow(v, columns, a.cache_dtype, cache_row(a.values, a.cache_stride, a.cache_dtype, a.slots[r]));
  }
}

}  // namespace
}  // namespace hass
