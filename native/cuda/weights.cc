#include "weights.h"

#include <algorithm>
#include <cstring>

#include "../cpu/packed_weight.h"
#include "fragments.h"

namespace hass::cuda {
namespace {

// What a conversion makes of the bytes is decided in one place: rows are packed as for a CPU, and moved from there.
class PackedRows {
 public:
  PackedRows(std::int32_t dtype, std::int64_t rows, std::int64_t in, hass_format format, const void *source)
      : dtype_(dtype), in_(in), packed_(hass_cpu_packed_bytes(dtype, rows, in)) {
    const hass_status status = hass_cpu_pack(dtype, rows, in, format, 0, rows, source, packed_.data());
    if (status == HASS_STATUS_UNSUPPORTED) {
      fail(status, "The weight's dtype %d cannot be made of these bytes.", dtype);
    }
    if (status != HASS_STATUS_OK) fail(status, "A block of the weight's bytes cannot be represented.");
  }

  // Row `row` into its place among the outputs of a tile.
  void move(std::int64_t row, int output, unsigned char *tile) const {
    const unsigned char *panel = packed_.data() + row / panel_width * panel_bytes(dtype_, in_);
    const std::int64_t units = num_units(dtype_, in_);
    for (std::int64_t unit = 0; unit < units; ++unit, tile += unit_bytes(dtype_)) {
      if (is_packed(dtype_)) {
        for (int piece = 0, pieces = unit_pieces(dtype_); piece < pieces; ++piece) {
          move_block(packed_block(dtype_, panel, unit * pieces + piece), row % panel_width, output, piece, tile);
        }
      } else if (dtype_ == HASS_F8) {
        move_f8(panel + unit / 2 * f8_bytes, row % panel_width, static_cast<int>(unit % 2), output, tile);
      } else {
        move_floats(panel, row % panel_width, unit * unit_inputs(dtype_), output, tile);
      }
    }
  }

 private:
  void move_floats(const unsigned char *panel, std::int64_t from, std::int64_t first, int output,
                   unsigned char *unit) const {
    const int bytes = dtype_ == HASS_F32 ? 4 : 2;
    for (int i = 0; i < 16 && first + i < in_; ++i) {
      std::memcpy(unit + lane_of(output, i) * lane_bytes(dtype_) + place_of(output, i) * bytes,
                  panel + ((first + i) * panel_width + from) * bytes, static_cast<std::size_t>(bytes));
    }
  }

  // The first or the second half of a block.
  void move_f8(const unsigned char *block, std::int64_t from, int half, int output, unsigned char *unit) const {
    for (int i = 0; i < unit_inputs(HASS_F8); ++i) {
      unit[i / 16 * piece_bytes(HASS_F8) + lane_of(output, i % 16) * lane_bytes(HASS_F8) + place_of(output, i % 16)] =
          block[f8_codes_offset + (half * unit_inputs(HASS_F8) + i) * panel_width + from];
    }
    if (half == output / 8) std::memcpy(unit + scales_offset(HASS_F8) + 4 * (output % 8), block + 4 * from, 4);
  }

  void move_block(const PackedBlock &block, std::int64_t from, int output, int piece, unsigned char *unit) const {
    unsigned char *const scales = unit + scales_offset(dtype_);
    std::memcpy(scales + 2 * output, block.scales + from, 2);
    if (block.minima) std::memcpy(scales + 32 + 2 * output, block.minima + from, 2);
    if (block.factors) {
      scales[64 + 16 * piece + output] = block.factors[4 * from];
      scales[96 + 16 * piece + output] = block.factors[4 * from + 1];
    }
    for (int i = 0; i < 32; ++i) {
      const int integer = packed_integer(block, from, i), place = place_of(output, i);
      unsigned char *lane = unit + piece * piece_bytes(dtype_) + lane_of(output, i) * lane_bytes(dtype_);
      if (dtype_ == HASS_Q8) {
        lane[place] = static_cast<unsigned char>(integer);
      } else if (place < 8) {
        lane[place] = static_cast<unsigned char>((lane[place] & 0xf0) | integer);
      } else {
        lane[place - 8] = static_cast<unsigned char>((lane[place - 8] & 0x0f) | integer << 4);
      }
    }
  }

  const std::int32_t dtype_;
  const std::int64_t in_;
  Vector<unsigned char> packed_;
};

// Tiles are converted some at a time, so that a large weight takes little memory beside it.
constexpr std::int64_t rows_at_a_time = 512;

}  // namespace

void write_weight_rows(hass_buffer *weight, hass_format format, std::int64_t first_row, std::int64_t num_rows,
                       const void *source) {
  const std::int64_t in = weight->columns;
  const std::int64_t bytes = tile_bytes(weight->dtype, in);
  const Stream &stream = weight->device->runs;
  const std::size_t row_bytes = hass_cpu_format_row_bytes(format, in);
  Vector<unsigned char> tiles;
  for (std::int64_t row = first_row, end = first_row + num_rows; row < end;) {
    const std::int64_t first_tile = row / tile_outputs;
    const std::int64_t last = std::min(end, (first_tile + rows_at_a_time / tile_outputs) * tile_outputs);
    const std::int64_t num_tiles = (last - 1) / tile_outputs - first_tile + 1;
    const PackedRows packed(weight->dtype, last - row, in, format,
                            static_cast<const unsigned char *>(source) + std::size_t(row - first_row) * row_bytes);
    tiles.resize(static_cast<std::size_t>(num_tiles * bytes));
    unsigned char *const there = weight->data() + first_tile * bytes;
    // The first and the last tile may hold rows of another call.
    check_cuda(cudaMemcpyAsync(tiles.data(), there, tiles.size(), cudaMemcpyDeviceToHost, stream), "Reading a weight");
    stream.wait("Reading a weight");
    for (std::int64_t r = row; r < last; ++r) {
      packed.move(r - row, static_cast<int>(r % tile_outputs), tiles.data() + (r / tile_outputs - first_tile) * bytes);
    }
    check_cuda(cudaMemcpyAsync(there, tiles.data(), tiles.size(), cudaMemcpyHostToDevice, stream), "Writing a weight");
    stream.wait("Writing a weight");
    row = last;
  }
}

}  // namespace hass::cuda
