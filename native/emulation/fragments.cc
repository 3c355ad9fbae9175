#include "fragments.h"

#include <cstring>

#include "emulation.h"

namespace hass::emulation {

namespace {

constexpr int rows = 16, columns = 8, max_inner = 32;

template <typename Number> struct Matrices {
  Number a[rows][max_inner], b[max_inner][columns];
};

struct Operands {
  std::uint32_t a[4], b[2];
};

float float_of_bfloat(std::uint16_t bits) {
  const std::uint32_t word = std::uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

// Elements of `bytes` bytes, inner size `inner`: word w of lane l holds elements of row l / 4 (+ 8 for odd words of a)
// from (l % 4) * elements on, + half the inner size for the later words.
template <typename Number, typename Element, typename Convert>
void gather(Matrices<Number> &m, const void *const *inputs, int inner, Convert convert) {
  constexpr int each = 4 / static_cast<int>(sizeof(Element));
  const int words_of_b = inner / (4 * each);
  for (int lane = 0; lane < warp_size; lane++) {
    const auto &operands = *static_cast<const Operands *>(inputs[lane]);
    const int group = lane / 4, first = lane % 4 * each;
    for (int word = 0; word < 2 * words_of_b; word++) {
      Element elements[each];
      std::memcpy(elements, &operands.a[word], 4);
      for (int e = 0; e < each; e++) m.a[group + word % 2 * 8][word / 2 * 4 * each + first + e] = convert(elements[e]);
    }
    for (int word = 0; word < words_of_b; word++) {
      Element elements[each];
      std::memcpy(elements, &operands.b[word], 4);
      for (int e = 0; e < each; e++) m.b[word * 4 * each + first + e][group] = convert(elements[e]);
    }
  }
}

// Word w of lane l is element (l / 4 + w / 2 * 8, l % 4 * 2 + w % 2) of d.
template <typename Number, int inner, bool adds>
void multiply(const Matrices<Number> &m, void *const *outputs) {
  Number d[rows][columns];
  for (int lane = 0; lane < warp_size; lane++) {
    const auto *own = static_cast<const Number *>(outputs[lane]);
    for (int w = 0; w < 4; w++) d[lane / 4 + w / 2 * 8][lane % 4 * 2 + w % 2] = adds ? own[w] : Number(0);
  }
  // In the order of the inner index: a tensor core has another one, and another rounding.
  for (int row = 0; row < rows; row++) {
    for (int k = 0; k < inner; k++) {
      for (int column = 0; column < columns; column++) d[row][column] += m.a[row][k] * m.b[k][column];
    }
  }
  for (int lane = 0; lane < warp_size; lane++) {
    auto *own = static_cast<Number *>(outputs[lane]);
    for (int w = 0; w < 4; w++) own[w] = d[lane / 4 + w / 2 * 8][lane % 4 * 2 + w % 2];
  }
}

}  // namespace

void load_matrices(std::uint32_t (&words)[4], const void *row) {
  meet_warp(
      [](const void *const *inputs, void *const *outputs) {
        for (int matrix = 0; matrix < 4; matrix++) {
          for (int lane = 0; lane < warp_size; lane++) {
            const auto *source = static_cast<const unsigned char *>(inputs[matrix * 8 + lane / 4]);
            std::memcpy(static_cast<std::uint32_t *>(outputs[lane]) + matrix, source + lane % 4 * 4, 4);
          }
        }
      },
      row, words);
}

void multiply_bfloats(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  const Operands operands{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  meet_warp(
      [](const void *const *inputs, void *const *outputs) {
        Matrices<float> m;
        gather<float, std::uint16_t>(m, inputs, 16, float_of_bfloat);
        multiply<float, 16, true>(m, outputs);
      },
      &operands, d);
}

void multiply_bytes_32(std::int32_t (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  const Operands operands{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  meet_warp(
      [](const void *const *inputs, void *const *outputs) {
        Matrices<std::int32_t> m;
        gather<std::int32_t, std::int8_t>(m, inputs, 32, [](std::int8_t byte) { return std::int32_t(byte); });
        multiply<std::int32_t, 32, false>(m, outputs);
      },
      &operands, d);
}

void multiply_bytes_16(std::int32_t (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
  const Operands operands{{a0, a1, 0, 0}, {b0, 0}};
  meet_warp(
      [](const void *const *inputs, void *const *outputs) {
        Matrices<std::int32_t> m;
        gather<std::int32_t, std::int8_t>(m, inputs, 16, [](std::int8_t byte) { return std::int32_t(byte); });
        multiply<std::int32_t, 16, false>(m, outputs);
      },
      &operands, d);
}

}  // namespace hass::emulation
