// The mark of functions that a GPU computes, too: one text, and with it the same bits on every backend.
#pragma once

#if defined(__CUDACC__)
#define HASS_ANYWHERE __host__ __device__ __forceinline__
#else
#define HASS_ANYWHERE inline
#endif
