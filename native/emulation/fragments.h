// ldmatrix and mma: what the 32 lanes of a warp do together.
#pragma once

#include <cstdint>

namespace hass::emulation {

void load_matrices(std::uint32_t (&words)[4], const void *row);
void multiply_bfloats(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
void multiply_bytes_32(std::int32_t (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
void multiply_bytes_16(std::int32_t (&d)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b0);

}  // namespace hass::emulation
