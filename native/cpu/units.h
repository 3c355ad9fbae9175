// How stages are cut into units. No bit of a result depends on these numbers.
#pragma once

#include <cstdint>

namespace hass {
namespace {

constexpr std::int64_t attention_rows = 4;  // at most
constexpr std::int64_t attention_tile = 32;  // keys or values that are at hand at a time
constexpr std::int64_t linear_columns = 32;
constexpr std::int64_t linear_rows = 64;

// Floats from row to row in a linear unit's tile: a unit's columns may begin inside a panel.
constexpr std::int64_t tile_stride = linear_columns + 16;

// Of one query: scores are stored eight at a time, from any position on.
inline std::int64_t score_floats(std::int64_t context) { return (context + 14) / 8 * 8; }

// Few rows are cut into more units, since there are only so many kv heads to share among threads.
inline std::int64_t attention_rows_of(std::int64_t rows) { return rows > 6 ? attention_rows : attention_rows / 2; }

// A number of rows as a type, for kernels that hold that many in registers.
template <int count>
struct RowCount {
  static constexpr int value = count;
};

}  // namespace
}  // namespace hass
