// Stream 0 of the noise field, bit for bit as packages/sampler computes it (philox.ts, float-math.ts, noise-field.ts).
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace hass {
namespace {

// Philox 4x32-10 (Salmon et al., SC 2011).
inline void philox(std::uint32_t *counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xd2511f53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xcd9e8d57u} * counter[2];
    counter[0] = static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0;
    counter[2] = static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1;
    counter[1] = static_cast<std::uint32_t>(product1);
    counter[3] = static_cast<std::uint32_t>(product0);
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

// Of normal, positive, finite x: noise asks for no other.
inline double wide_logarithm(double x) {
  constexpr double ln2_high = 0.6931471803691238, ln2_low = 1.9082149292705877e-10;
  constexpr std::uint32_t upper_word_of_sqrt_half = 0x3fe6a09eu;
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t shifted = static_cast<std::uint32_t>(bits >> 32) + (0x3ff00000u - upper_word_of_sqrt_half);
  const double k = static_cast<double>(static_cast<std::int32_t>(shifted >> 20) - 1023);
  const std::uint32_t upper = (shifted & 0xfffffu) + upper_word_of_sqrt_half;
  bits = std::uint64_t{upper} << 32 | (bits & 0xffffffffu);
  std::memcpy(&x, &bits, sizeof x);
  const double f = x - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  const double z2 = z * z;
  const double z4 = z2 * z2;
  const double rest = z * (2.0 / 3 + z * (2.0 / 5) + z2 * (2.0 / 7 + z * (2.0 / 9)) +
                           z4 * (2.0 / 11 + z * (2.0 / 13) + z2 * (2.0 / 15 + z * (2.0 / 17)) +
                                 z4 * (2.0 / 19 + z * (2.0 / 21) + z2 * (2.0 / 23))));
  return k * ln2_high + (f - (s * (f - rest) - k * ln2_low));
}

inline double gumbel_of_word(std::uint32_t word) {
  const double uniform = (static_cast<double>(word) + 0.5) * 0x1p-32;
  return -wide_logarithm(-wide_logarithm(1 - uniform));
}

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
