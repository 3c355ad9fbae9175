// The tables that dispatch.cc chooses from, each made by one translation unit with flags of its own:
//
//   all files        -std=c++17 -O3 -ffp-contract=off -fno-exceptions -fno-rtti   (never -ffast-math, never -Ofast)
//   kernels_avx2.cc  -mavx2 -mfma -mf16c besides, on x86-64
//
// -ffp-contract=off is part of the arithmetic (NUMERICS.md). Whatever these units include is in unnamed namespaces, so
// that no function compiled for one instruction set is linked into another.
#pragma once

#include "ops.h"

#if defined(__x86_64__) || defined(_M_X64)
#define HASS_CPU_HAS_AVX2 1
#endif

namespace hass {

extern const hass_cpu_kernels portable_kernels;
#ifdef HASS_CPU_HAS_AVX2
extern const hass_cpu_kernels avx2_kernels;
#endif

}  // namespace hass
