// How stages of training are cut into units. No bit of a result depends on these numbers.
#pragma once

#include <cstdint>

namespace hass {
namespace {

// A tile of six rows and sixteen columns fills the registers; a block of them and its panels stay in the second cache.
constexpr std::int64_t product_tile_rows = 6;
constexpr std::int64_t product_panel = 16;
constexpr std::int64_t product_rows = 96;
constexpr std::int64_t product_columns = 256;
constexpr std::int64_t product_depth = 256;

constexpr std::int64_t column_block = 64;       // of what is summed over rows
constexpr std::int64_t aligned_rows = 48;        // queries of one unit
constexpr std::int64_t aligned_slots = 48;       // keys of one unit, whole panels
constexpr std::int64_t distillation_rows = 96;  // most rows whose logits are at hand at a time
constexpr std::int64_t distillation_columns = 512;

// Rows of one unit: an even number of units of the same size, so that two threads end together.
inline std::int64_t distillation_unit_rows(std::int64_t rows) {
  const std::int64_t units = (rows + distillation_rows - 1) / distillation_rows, even = units + (units > 1 && units % 2);
  const std::int64_t each = even > 0 ? (rows + even - 1) / even : 1;
  return (each + product_tile_rows - 1) / product_tile_rows * product_tile_rows;
}

}  // namespace
}  // namespace hass
