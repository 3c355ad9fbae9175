// The functions of cuda/device.h, computed by a CPU. Which lane holds which element of a matrix stands here a second
// time, and tests/ holds both against the tables of the PTX manual.
#pragma once

#include "../cpu/half.h"
#include "cuda_runtime.h"
#include "fragments.h"

namespace hass::cuda {

constexpr int warp_size = 32;
constexpr unsigned all_lanes = 0xffffffffu;

inline unsigned char *shared_memory() { return emulation::shared_memory(); }

using hass::float_of_half;
using hass::half_of_float;

inline int leading_zeros(std::uint32_t word) { return word == 0 ? 32 : __builtin_clz(word); }

inline void copy_async_16(void *target, const void *source, int bytes) {
  emulation::copy_async(target, source, std::size_t(bytes), std::size_t(16 - bytes));
}
inline void copy_async_4(void *target, const void *source, int bytes) {
  emulation::copy_async(target, source, std::size_t(bytes), std::size_t(4 - bytes));
}
inline void commit_copies() { emulation::commit_copies(); }
template <int groups_left> void wait_for_copies() { emulation::wait_for_copies(groups_left); }

inline void load_matrices(std::uint32_t (&words)[4], const void *row) { emulation::load_matrices(words, row); }

inline void multiply_bfloats(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  emulation::multiply_bfloats(d, a, b0, b1);
}
inline void multiply_bytes_32(std::int32_t (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  emulation::multiply_bytes_32(d, a, b0, b1);
}
inline void multiply_bytes_16(std::int32_t (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0) {
  emulation::multiply_bytes_16(d, a0, a1, b0);
}

template <typename Arguments>
void launch(void (*kernel)(Arguments), dim3 blocks, unsigned threads, std::size_t shared_bytes, cudaStream_t stream,
            const Arguments &arguments) {
  emulation::enqueue(stream, [=] {
    return emulation::run_grid({{blocks.x, blocks.y, blocks.z},
                                {threads, 1, 1},
                                shared_bytes,
                                emulation::schedule_of(stream),
                                [&] { kernel(arguments); },
                                reinterpret_cast<const void *>(kernel)});
  });
}

}  // namespace hass::cuda
