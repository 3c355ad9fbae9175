// The tables that selection.cc chooses from, each made by one translation unit with flags of its own:
//
//   all files           -std=c++17 -O3 -ffp-contract=off -fno-exceptions -fno-rtti   (never -ffast-math, never -Ofast)
//   kernels_avx2.cc,    gyp/instruction-sets.mjs says what besides; without those flags, and on
//   kernels_avx512.cc,  other processors, a unit gives NULL
//   kernels_dotprod.cc
//
// -ffp-contract=off is part of the arithmetic (NUMERICS.md). Whatever these units include is in unnamed namespaces, so
// that no function compiled for one instruction set is linked into another.
#pragma once

#include "ops.h"

namespace hass {

extern const hass_cpu_kernels *const portable_kernels;
extern const hass_cpu_kernels *const avx2_kernels;
extern const hass_cpu_kernels *const avx512_kernels;
extern const hass_cpu_kernels *const neon_kernels;
extern const hass_cpu_kernels *const dotprod_kernels;

// Whether the processor has what the table of that name takes, and the operating system saves its registers.
bool has_avx2();
bool has_avx512();
bool has_dotprod();

}  // namespace hass
