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
constexpr std::int64_t aligned_slots = 32;      // keys of one unit
constexpr std::int64_t distillation_rows = 24;  // rows whose logits are at hand at a time
constexpr std::int64_t distillation_columns = 512;

}  // namespace
}  // namespace hass
