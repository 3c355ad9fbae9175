// What kernels take from the processor beyond CUDA C++: instructions that only PTX has, behind functions that a CPU can
// compute, too (emulation/device.h), and the launch of a kernel. Nothing here needs more than sm_80.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#if defined(__CUDACC__)

namespace hass::cuda {

constexpr int warp_size = 32;
constexpr unsigned all_lanes = 0xffffffffu;

__device__ __forceinline__ unsigned char *shared_memory() {
  extern __shared__ __align__(16) unsigned char block_memory[];
  return block_memory;
}

__device__ __forceinline__ float float_of_half(std::uint16_t half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}

__device__ __forceinline__ std::uint16_t half_of_float(float value) {
  std::uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

__device__ __forceinline__ int leading_zeros(std::uint32_t word) { return __clz(static_cast<int>(word)); }

// 16 bytes from global to shared memory, of which `bytes` are there (0 ... 16) and the rest become zeros.
__device__ __forceinline__ void copy_async_16(void *target, const void *source, int bytes) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(target));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source), "r"(bytes) : "memory");
}

// 4 bytes likewise: for rows that are not aligned to 16.
__device__ __forceinline__ void copy_async_4(void *target, const void *source, int bytes) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(target));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(source), "r"(bytes) : "memory");
}

// Closes the group of the thread's copies since the last one.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until all but the last `groups_left` groups of this thread's copies are there.
template <int groups_left> __device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups_left) : "memory");
}

// Lane l names row l % 8 of matrix l / 8; matrices are 8 x 8 elements of 16 bits. Word m of lane l: elements 2 (l % 4)
// and the next one of row l / 4 of matrix m.
__device__ __forceinline__ void load_matrices(std::uint32_t (&words)[4], const void *row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address)
               : "memory");
}

// d[16 x 8] += a[16 x 16] b[16 x 8], bfloat16 and float32.
__device__ __forceinline__ void multiply_bfloats(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                                 std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// d[16 x 8] = a[16 x 32] b[32 x 8], int8 and int32.
__device__ __forceinline__ void multiply_bytes_32(std::int32_t (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                                  std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%10, %10, %10, %10};"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(0));
}

// d[16 x 8] = a[16 x 16] b[16 x 8], int8 and int32.
__device__ __forceinline__ void multiply_bytes_16(std::int32_t (&d)[4], std::uint32_t a0, std::uint32_t a1,
                                                  std::uint32_t b0) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %7, %7, %7};"
               : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
               : "r"(a0), "r"(a1), "r"(b0), "r"(0));
}

// Asks for a grid; what goes wrong with it is known when its stream is waited for.
template <typename Arguments>
void launch(void (*kernel)(Arguments), dim3 blocks, unsigned threads, std::size_t shared_bytes, cudaStream_t stream,
            const Arguments &arguments) {
  // Beyond 48 KiB a kernel has to be told.
  if (shared_bytes > (48u << 10)) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  }
  kernel<<<blocks, threads, shared_bytes, stream>>>(arguments);
}

}  // namespace hass::cuda

#else
#include "../emulation/device.h"
#endif
