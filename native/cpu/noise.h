// The words of the noise field's stream 0, many tokens at a time.
#pragma once

#include <cstdint>

#include "scalar_functions.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace hass {
namespace {

// Words of 32 bits, each in a lane of 64 for the sake of its products.
typedef std::uint64_t WideWords __attribute__((vector_size(32)));

inline void multiply(WideWords &product, const WideWords &words, std::uint32_t factor) {
#if defined(__AVX2__)
  product = reinterpret_cast<WideWords>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(words), _mm256_set1_epi64x(static_cast<long long>(factor))));
#else
  product = words * factor;
#endif
}

constexpr std::int64_t tokens_at_once = 32;

// The words of neighbouring tokens, the first of them a multiple of four: eight blocks of Philox side by side.
inline void noise_words(std::uint32_t first_block, std::uint32_t position, std::uint32_t key0, std::uint32_t key1,
                        std::uint32_t *words) {
  constexpr std::uint64_t low = 0xffffffffu;
  constexpr int parts = 2;
  WideWords counter[4][parts];
  for (int part = 0; part < parts; ++part) {
    const std::uint64_t first = first_block + 4 * static_cast<std::uint64_t>(part);
    counter[0][part] = WideWords{first, first + 1, first + 2, first + 3};
    counter[1][part] = WideWords{} + position;
    counter[2][part] = WideWords{};
    counter[3][part] = WideWords{};
  }
  for (int round = 0; round < 10; ++round) {
    for (int part = 0; part < parts; ++part) {
      WideWords product0, product1;
      multiply(product0, counter[0][part], 0xd2511f53u);
      multiply(product1, counter[2][part], 0xcd9e8d57u);
      counter[0][part] = (product1 >> 32) ^ counter[1][part] ^ key0;
      counter[2][part] = (product0 >> 32) ^ counter[3][part] ^ key1;
      counter[1][part] = product1 & low;
      counter[3][part] = product0 & low;
    }
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
  for (int part = 0; part < parts; ++part) {
    for (int lane = 0; lane < 4; ++lane) {
      for (int word = 0; word < 4; ++word) {
        words[4 * (4 * part + lane) + word] = static_cast<std::uint32_t>(counter[word][part][lane]);
      }
    }
  }
}

// The words of one seed and position; four neighbouring tokens cost one Philox block.
struct NoiseRow {
  std::uint32_t key0, key1, position;
  std::int64_t block = -1;
  std::uint32_t words[4] = {0, 0, 0, 0};

  std::uint32_t word(std::int64_t token) {
    if (block != token >> 2) {
      block = token >> 2;
      words[0] = static_cast<std::uint32_t>(block);
      words[1] = position;
      words[2] = 0;
      words[3] = 0;
      philox(words, key0, key1);
    }
    return words[token & 3];
  }
};

}  // namespace
}  // namespace hass
