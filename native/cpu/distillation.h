// The harmonized objective and its gradient; a unit is a few rows, whose logits live in scratch memory only.
#pragma once

#include "matrix_product.h"

namespace hass {
namespace {

// Returns the logarithm of the denominator. y may be x.
inline float softmax_row(const float *x, std::int64_t size, float *y) {
  const float largest = row_maximum(x, size);
  Vec8 totals[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
  std::int64_t turn = 0;
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    const Vec8 terms = exponential(load_some(x + i, count) - splat(largest));
    store_some(y + i, terms, count);
    Vec8 &total = totals[turn++ & 3];
    total = total + select(first_lanes(count), terms, splat(0.0f));
  });
  const float total = sum((totals[0] + totals[1]) + (totals[2] + totals[3]));
  const Vec8 inverse = splat(1.0f / total);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    store_some(y + i, load_some(y + i, count) * inverse, count);
  });
  return largest + logarithm(total);
}

inline void run_softmax(const void *arguments, std::int64_t begin, std::int64_t end, void *) {
  const auto &a = *static_cast<const hass_cpu_softmax_args *>(arguments);
  for (std::int64_t r = begin; r < end; ++r) softmax_row(a.x + r * a.columns, a.columns, a.y + r * a.columns);
}

inline float feature_loss(const hass_cpu_distillation_args &a, std::int64_t row, float *gradient) {
  const float *prediction = a.prediction + row * a.columns, *target = a.target + row * a.columns;
  const float weight = a.feature_weights[row] * a.feature_weight / static_cast<float>(a.columns);
  float loss = 0.0f;
  for (std::int64_t i = 0; i < a.columns; ++i) {
    const float difference = prediction[i] - target[i], size = std::fabs(difference);
    loss += size < 1.0f ? 0.5f * difference * difference : size - 0.5f;
    gradient[i] = weight * (size < 1.0f ? difference : difference / size);
  }
  return loss / static_cast<float>(a.columns);
}

// Of one row's logits; they become the gradient by them. values, ids: scratch memory for K each.
inline void token_losses(const hass_cpu_distillation_args &a, std::int64_t row, float *head, float *values,
                         std::uint32_t *ids) {
  const std::int64_t size = a.vocabulary;
  const float *target = a.target_probs + row * size;
  row_top_k(target, size, a.k, ids, values);
  const bool is_same = row_arg_max(head, size) == ids[0];
  float mass = 0.0f, top = 0.0f;
  for (std::int64_t i = 0; i < a.k; ++i) {
    mass += values[i];
    top += values[i] * head[ids[i]];
  }
  Vec8 products = splat(0.0f);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    products = multiply_add(load_some(target + i, count), load_some(head + i, count), products);
  });
  const float expected = sum(products), shift = softmax_row(head, size, head);
  a.losses[row * 4 + 1] = shift - expected;
  a.losses[row * 4 + 2] = mass * shift - top;
  a.losses[row * 4 + 3] = is_same ? 1.0f : 0.0f;
  const float weight = a.token_weights[row];
  const Vec8 of_head = splat(weight * (a.token_weight + a.top_weight * mass)), of_target = splat(weight * a.token_weight);
  each_eight(size, [&](std::int64_t i, std::int64_t count) {
    store_some(head + i, of_head * load_some(head + i, count) - of_target * load_some(target + i, count), count);
  });
  for (std::int64_t i = 0; i < a.k; ++i) head[ids[i]] -= weight * a.top_weight * values[i];
}

inline void run_distillation(const void *arguments, std::int64_t begin, std::int64_t end, void *scratch) {
  const auto &a = *static_cast<const hass_cpu_distillation_args *>(arguments);
  auto *tiles = static_cast<float *>(scratch);
  float *head = tiles + product_depth * distillation_rows;
  float *values = head + distillation_rows * a.vocabulary;
  auto *ids = reinterpret_cast<std::uint32_t *>(values + a.k);
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t most = distillation_unit_rows(a.rows), first = unit * most;
    const std::int64_t rows = a.rows - first < most ? a.rows - first : most;
    for (std::int64_t column = 0; column < a.vocabulary; column += distillation_columns) {
      const std::int64_t left = a.vocabulary - column, columns = left < distillation_columns ? left : distillation_columns;
      product_block({a.prediction + first * a.columns, a.columns, 1}, rows, a.columns, {a.panels, a.columns, 0}, column,
                    columns, false, head + column, a.vocabulary, tiles);
    }
    for (std::int64_t r = 0; r < rows; ++r) {
      token_losses(a, first + r, head + r * a.vocabulary, values, ids);
      a.losses[(first + r) * 4] = feature_loss(a, first + r, a.gradient + (first + r) * a.columns);
    }
    product_block({head, a.vocabulary, 1}, rows, a.vocabulary, {a.transposed, a.vocabulary, 0}, 0, a.columns, true,
                  a.gradient + first * a.columns, a.columns, tiles);
  }
}

}  // namespace
}  // namespace hass
