// Stands before the compiler's header of this name when kernels_avx512.cc is built for processors without AVX-512: what
// goes beyond AVX2 and FMA is emulated by SIMDe.
#pragma once

#include_next <immintrin.h>

#ifndef HASS_TESTS_SIMDE
#define HASS_TESTS_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#endif
