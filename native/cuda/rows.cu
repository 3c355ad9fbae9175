// What is done to a row by itself: norms, rope, elementwise operations, cache writes, moves. Exact (NUMERICS.md).
#include "functions.h"
#include "launchers.h"

namespace hass::cuda {
namespace {

constexpr int threads = 128;
constexpr int tile = 1024;  // squares that are at hand at a time

template <typename Stage> __device__ __forceinline__ bool is_padding(const Parameters<Stage> &p, std::int64_t row) {
  return row >= *p.live_rows;
}

// RMS_NORM. Block: a row and a group. Registers: at most 40.
// Shared memory: at most 4 KiB, a float for each of `tile` elements.
__global__ void __launch_bounds__(threads, 12) rms_norm(Parameters<hass_cpu_rms_norm_args> p) {
  const hass_cpu_rms_norm_args &a = p.stage;
  auto *const squares = reinterpret_cast<float *>(shared_memory());
  const std::int64_t row = blockIdx.x, first = blockIdx.y * a.size;
  if (is_padding(p, row)) return;
  const int thread = static_cast<int>(threadIdx.x);
  const float *x = a.x + row * a.x_stride + first;
  if (a.residual) {
    float *const hidden = a.hidden + row * a.hidden_stride + first;
    const float *const residual = a.residual + row * a.residual_stride + first;
    for (std::int64_t i = thread; i < a.size; i += threads) hidden[i] = x[i] + residual[i];
    x = hidden;  // each thread goes on with what it wrote itself
  }
  float total = 0.0f;
  for (std::int64_t begin = 0; begin < a.size; begin += tile) {
    const std::int64_t left = a.size - begin;
    const int count = left < tile ? static_cast<int>(left) : tile;
    for (int i = thread; i < count; i += threads) {
      const float value = x[begin + i];
      squares[i] = value * value;
    }
    __syncthreads();  // the squares are there
    if (thread < 8) {
      for (int i = thread; i < count; i += 8) total = total + squares[i];
    }
    __syncthreads();  // the squares have been added
  }
  if (thread < warp_size) {
    const float sum = sum_across_lanes(total);
    if (thread == 0) squares[0] = 1.0f / sqrtf(sum / static_cast<float>(a.size) + a.eps);
  }
  __syncthreads();  // the scale is there
  const float scale = squares[0];
  float *const y = a.y + row * a.y_stride + first;
  for (std::int64_t i = thread; i < a.size; i += threads) y[i] = x[i] * scale * a.weight[i];
}

struct SiluMul {
  __device__ __forceinline__ float operator()(float gate, float up) const { return silu(gate) * up; }
};
struct Add {
  __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};
struct Mul {
  __device__ __forceinline__ float operator()(float a, float b) const { return a * b; }
};

constexpr int elements_of_thread = 4;

// Block: a row, threads x elements_of_thread columns. Registers: at most 40.
template <typename Function>
__global__ void __launch_bounds__(threads, 12) binary(Parameters<hass_cpu_binary_args> p) {
  const hass_cpu_binary_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (is_padding(p, row)) return;
  std::int64_t i = std::int64_t(blockIdx.y) * threads * elements_of_thread + threadIdx.x;
  for (int e = 0; e < elements_of_thread && i < a.columns; ++e, i += threads) {
    a.y[row * a.y_stride + i] = Function()(a.a[row * a.a_stride + i], a.b[row * a.b_stride + i]);
  }
}

// The pair of a head that a number stands for, and its places.
struct Pair {
  std::int64_t first, second;
  float c, s;

  __device__ __forceinline__ Pair(std::int64_t index, std::int64_t size, std::int32_t pairing, const float *table)
      : first(pairing == 0 ? index : 2 * index), second(pairing == 0 ? index + size / 2 : 2 * index + 1),
        c(table[index]), s(table[size / 2 + index]) {}
};

// ROPE. Block: a row and a group. Registers: at most 40.
__global__ void __launch_bounds__(64, 24) rope(Parameters<hass_cpu_rope_args> p) {
  const hass_cpu_rope_args &a = p.stage;
  const std::int64_t row = blockIdx.x, first = blockIdx.y * a.size;
  if (is_padding(p, row)) return;
  const float *const table = a.table + a.positions[row] * a.size, *const x = a.x + row * a.x_stride + first;
  float *const y = a.y + row * a.y_stride + first;
  for (std::int64_t i = threadIdx.x; i < a.size / 2; i += blockDim.x) {
    const Pair pair(i, a.size, a.pairing, table);
    const float x0 = x[pair.first], x1 = x[pair.second];
    y[pair.first] = x0 * pair.c - x1 * pair.s;
    y[pair.second] = x1 * pair.c + x0 * pair.s;
  }
}

// CACHE_WRITE. Block: a row, threads x elements_of_thread columns. Registers: at most 40.
__global__ void __launch_bounds__(threads, 12) cache_write(Parameters<hass_cpu_cache_write_args> p) {
  const hass_cpu_cache_write_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (is_padding(p, row)) return;
  std::int64_t i = std::int64_t(blockIdx.y) * threads * elements_of_thread + threadIdx.x;
  for (int e = 0; e < elements_of_thread && i < a.columns; ++e, i += threads) {
    write_element(a.cache_dtype, a.cache, a.slots[row] * a.cache_stride + i, a.x[row * a.x_stride + i]);
  }
}

constexpr int head_threads = 64;

// QKV_FINISH. Block: a row and one of its query, key and value heads. Registers: at most 40.
// Shared memory: at most 2 KiB for heads of up to 255 elements; the head, its squares, and their sum.
__global__ void __launch_bounds__(head_threads, 24) qkv_finish(Parameters<hass_cpu_qkv_finish_args> p) {
  const hass_cpu_qkv_finish_args &a = p.stage;
  auto *const values = reinterpret_cast<float *>(shared_memory());
  float *const squares = values + a.size, *const scale = squares + a.size;
  const std::int64_t row = blockIdx.x, head = blockIdx.y;
  if (is_padding(p, row)) return;
  const int thread = static_cast<int>(threadIdx.x);
  const float *const source = a.qkv + row * a.qkv_stride + head * a.size;
  const std::int64_t slot = a.slots[row];
  if (head >= a.heads + a.kv_heads) {
    const std::int64_t target = slot * a.cache_stride + (head - a.heads - a.kv_heads) * a.size;
    for (std::int64_t i = thread; i < a.size; i += head_threads) {
      write_element(a.cache_dtype, a.values, target + i, source[i]);
    }
    return;
  }
  const bool is_key = head >= a.heads;
  const float *const weight = is_key ? a.k_norm : a.q_norm;
  for (std::int64_t i = thread; i < a.size; i += head_threads) {
    values[i] = source[i];
    squares[i] = source[i] * source[i];
  }
  __syncthreads();  // the head is there
  if (weight) {
    if (thread < warp_size) {
      float total = 0.0f;
      if (thread < 8) {
        for (std::int64_t i = thread; i < a.size; i += 8) total = total + squares[i];
      }
      const float sum = sum_across_lanes(total);
      if (thread == 0) *scale = 1.0f / sqrtf(sum / static_cast<float>(a.size) + a.eps);
    }
    __syncthreads();  // the scale is there
    for (std::int64_t i = thread; i < a.size; i += head_threads) values[i] = values[i] * *scale * weight[i];
    __syncthreads();  // the head is normalised
  }
  const float *const table = a.table + a.positions[row] * a.size;
  const std::int64_t key = slot * a.cache_stride + (head - a.heads) * a.size;
  float *const query = a.q + row * a.q_stride + head * a.size;
  for (std::int64_t i = thread; i < a.size / 2; i += head_threads) {
    const Pair pair(i, a.size, a.pairing, table);
    const float x0 = values[pair.first], x1 = values[pair.second];
    const float y0 = x0 * pair.c - x1 * pair.s, y1 = x1 * pair.c + x0 * pair.s;
    if (is_key) {
      write_element(a.cache_dtype, a.keys, key + pair.first, y0);
      write_element(a.cache_dtype, a.keys, key + pair.second, y1);
    } else {
      query[pair.first] = y0;
      query[pair.second] = y1;
    }
  }
}

template <typename Word>
__device__ __forceinline__ void copy_row(void *target, const void *source, std::int64_t bytes) {
  for (std::int64_t i = threadIdx.x; i < bytes / std::int64_t(sizeof(Word)); i += threads) {
    static_cast<Word *>(target)[i] = static_cast<const Word *>(source)[i];
  }
}

// GATHER_ROWS, SCATTER_ROWS. Block: a row. Registers: at most 40.
template <typename Word, bool is_scatter>
__global__ void __launch_bounds__(threads, 12) move_rows(Parameters<hass_cpu_move_rows_args> p) {
  const hass_cpu_move_rows_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (is_padding(p, row)) return;
  const std::int64_t named = a.rows[row];
  const std::int64_t from = is_scatter ? row : named, to = is_scatter ? named : row;
  copy_row<Word>(static_cast<unsigned char *>(a.y) + to * a.y_stride_bytes,
                 static_cast<const unsigned char *>(a.x) + from * a.x_stride_bytes, a.row_bytes);
}

// CONCAT_COLUMNS. Block: a row. Registers: at most 40.
__global__ void __launch_bounds__(threads, 12) concat_columns(Parameters<hass_cpu_concat_args> p) {
  const hass_cpu_concat_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (is_padding(p, row)) return;
  auto *const y = static_cast<std::uint32_t *>(a.y) + row * a.y_stride;
  copy_row<std::uint32_t>(y, static_cast<const std::uint32_t *>(a.a) + row * a.a_stride, a.a_columns * 4);
  copy_row<std::uint32_t>(y + a.a_columns, static_cast<const std::uint32_t *>(a.b) + row * a.b_stride, a.b_columns * 4);
}

// SLICE_COLUMNS. Block: a row. Registers: at most 40.
__global__ void __launch_bounds__(threads, 12) slice_columns(Parameters<hass_cpu_slice_args> p) {
  const hass_cpu_slice_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (is_padding(p, row)) return;
  copy_row<std::uint32_t>(static_cast<std::uint32_t *>(a.y) + row * a.y_stride,
                          static_cast<const std::uint32_t *>(a.x) + row * a.x_stride + a.from, a.columns * 4);
}

template <bool is_scatter> void launch_move(const Launch &to, const hass_cpu_move_rows_args &a) {
  const Parameters<hass_cpu_move_rows_args> p{a, to.live_rows};
  const dim3 blocks(static_cast<unsigned>(a.count));
  const std::int64_t units = a.row_bytes | a.x_stride_bytes | a.y_stride_bytes;
  if (units % 16 == 0) return launch(move_rows<uint4, is_scatter>, blocks, threads, 0, to.stream, p);
  if (units % 4 == 0) return launch(move_rows<std::uint32_t, is_scatter>, blocks, threads, 0, to.stream, p);
  launch(move_rows<std::uint16_t, is_scatter>, blocks, threads, 0, to.stream, p);
}

dim3 row_blocks(std::int64_t rows, std::int64_t columns) {
  return dim3(static_cast<unsigned>(rows), static_cast<unsigned>(ceiling(columns, threads * elements_of_thread)));
}

template <typename Function> void launch_binary(const Launch &to, const hass_cpu_binary_args &a) {
  launch(binary<Function>, row_blocks(a.rows, a.columns), threads, 0, to.stream,
         Parameters<hass_cpu_binary_args>{a, to.live_rows});
}

}  // namespace

void launch_rms_norm(const Launch &to, const hass_cpu_rms_norm_args &a) {
  launch(rms_norm, dim3(unsigned(a.rows), unsigned(a.groups)), threads, tile * sizeof(float), to.stream,
         Parameters<hass_cpu_rms_norm_args>{a, to.live_rows});
}

void launch_silu_mul(const Launch &to, const hass_cpu_binary_args &a) { launch_binary<SiluMul>(to, a); }
void launch_add(const Launch &to, const hass_cpu_binary_args &a) { launch_binary<Add>(to, a); }
void launch_mul(const Launch &to, const hass_cpu_binary_args &a) { launch_binary<Mul>(to, a); }

void launch_rope(const Launch &to, const hass_cpu_rope_args &a) {
  launch(rope, dim3(unsigned(a.rows), unsigned(a.groups)), 64, 0, to.stream,
         Parameters<hass_cpu_rope_args>{a, to.live_rows});
}

void launch_cache_write(const Launch &to, const hass_cpu_cache_write_args &a) {
  launch(cache_write, row_blocks(a.rows, a.columns), threads, 0, to.stream,
         Parameters<hass_cpu_cache_write_args>{a, to.live_rows});
}

void launch_qkv_finish(const Launch &to, const hass_cpu_qkv_finish_args &a) {
  launch(qkv_finish, dim3(unsigned(a.rows), unsigned(a.heads + 2 * a.kv_heads)), head_threads,
         std::size_t(2 * a.size + 1) * sizeof(float), to.stream, Parameters<hass_cpu_qkv_finish_args>{a, to.live_rows});
}

void launch_gather_rows(const Launch &to, const hass_cpu_move_rows_args &a) { launch_move<false>(to, a); }
void launch_scatter_rows(const Launch &to, const hass_cpu_move_rows_args &a) { launch_move<true>(to, a); }

void launch_concat_columns(const Launch &to, const hass_cpu_concat_args &a) {
  launch(concat_columns, dim3(unsigned(a.rows)), threads, 0, to.stream,
         Parameters<hass_cpu_concat_args>{a, to.live_rows});
}

void launch_slice_columns(const Launch &to, const hass_cpu_slice_args &a) {
  launch(slice_columns, dim3(unsigned(a.rows)), threads, 0, to.stream,
         Parameters<hass_cpu_slice_args>{a, to.live_rows});
}

}  // namespace hass::cuda
