// TREE_ATTENTION in three kernels: scores, weights (exp and their sum), weighted values. A row's context is a list of
// slots; all sums run in the order of its positions (NUMERICS.md), so the bits are those of every other backend, and no
// border of a tile can be seen in them. Rows of a tile that share a stretch of committed context load it once.
#include "functions.h"
#include "launchers.h"

namespace hass::cuda {
namespace {

constexpr int threads = 128;
constexpr int score_positions = 32;  // keys that are at hand at a time
constexpr int score_rows = 8;        // of a block
constexpr int value_positions = 128;
constexpr int value_rows = 4;
constexpr int value_columns = 32;  // a lane each
constexpr int value_heads = 4;     // a warp each
// Scores of more rows than these are computed one batch after the other, in the same memory.
constexpr std::int64_t batch_rows = 64;

struct Attention {
  hass_cpu_attention_args a;
  const std::int32_t *live_rows;
  std::int64_t first_row;  // of the batch
  float *scores;           // [batch_rows, heads, score_stride]
  std::int64_t score_stride;
  float *divisors;  // [batch_rows, heads]
};

__host__ __device__ __forceinline__ std::int64_t padded_size(std::int64_t size) { return (size + 7) / 8 * 8; }

__device__ __forceinline__ std::int64_t live_rows_of(const Attention &p) {
  const std::int64_t rows = *p.live_rows, end = p.first_row + batch_rows;
  return rows < end ? rows : end;
}

struct Context {
  std::int64_t sequence, committed, size;
  const std::uint32_t *shared, *own;

  __device__ __forceinline__ std::uint32_t slot(std::int64_t position) const {
    return position < committed ? shared[position] : own[position - committed];
  }
};

__device__ __forceinline__ Context context_of(const hass_cpu_attention_args &a, std::int64_t row) {
  Context context;
  context.sequence = a.row_sequence[row];
  const std::uint32_t begin = a.sequence_offsets[context.sequence];
  context.committed = a.sequence_offsets[context.sequence + 1] - begin;
  context.size = context.committed + (a.ancestor_offsets[row + 1] - a.ancestor_offsets[row]);
  context.shared = a.context_slots + begin;
  context.own = a.ancestor_slots + a.ancestor_offsets[row];
  return context;
}

// Columns [first, first + columns) of a cache at positions [begin, begin + count) of a context -> rows of row_bytes in
// shared memory, zeros behind the columns up to `padded` (a multiple of 8). To be committed and waited for.
template <int dtype>
__device__ __forceinline__ void load_positions(const hass_cpu_attention_args &a, const void *cache, const Context &context,
                                               std::int64_t begin, int count, std::int64_t first, int columns,
                                               int padded, unsigned char *target, int row_bytes) {
  constexpr int element_bytes = dtype == HASS_F32 ? 4 : 2;
  const bool is_aligned = (columns * element_bytes) % 16 == 0 && (first * element_bytes) % 16 == 0 &&
                          (a.cache_stride * element_bytes) % 16 == 0;
  const int pieces = padded * element_bytes / 16;
  for (int i = static_cast<int>(threadIdx.x); i < count * pieces; i += threads) {
    const int position = i / pieces, piece = i % pieces;
    const std::int64_t element = context.slot(begin + position) * a.cache_stride + first;
    unsigned char *to = target + position * row_bytes + piece * 16;
    if (is_aligned) {
      const bool is_there = piece * 16 < columns * element_bytes;
      const auto *from = static_cast<const unsigned char *>(cache) + element * element_bytes;
      copy_async_16(to, from + (is_there ? piece * 16 : 0), is_there ? 16 : 0);
      continue;
    }
    for (int e = 0; e < 16 / element_bytes; ++e) {
      const int column = piece * (16 / element_bytes) + e;
      if constexpr (dtype == HASS_F32) {
        reinterpret_cast<float *>(to)[e] = column < columns ? static_cast<const float *>(cache)[element + column] : 0.0f;
      } else {
        reinterpret_cast<std::uint16_t *>(to)[e] =
            column < columns ? static_cast<const std::uint16_t *>(cache)[element + column] : std::uint16_t{0};
      }
    }
  }
}

// Eight neighbouring elements of shared memory, 16-byte aligned.
template <int dtype> __device__ __forceinline__ void read_eight(const unsigned char *source, float (&values)[8]) {
  if constexpr (dtype == HASS_F32) {
    const float4 low = reinterpret_cast<const float4 *>(source)[0], high = reinterpret_cast<const float4 *>(source)[1];
    values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
    values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
  } else {
    const uint4 words = *reinterpret_cast<const uint4 *>(source);
    const std::uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const auto bits = static_cast<std::uint16_t>(i % 2 == 0 ? pairs[i / 2] & 0xffffu : pairs[i / 2] >> 16);
      values[i] = dtype == HASS_F16 ? float_of_half(bits) : float_of_bfloat(bits);
    }
  }
}

template <int dtype> __host__ __device__ constexpr int key_row_bytes(int padded) {
  // 16 bytes more, so that eight rows begin in different banks.
  return padded * (dtype == HASS_F32 ? 4 : 2) + 16;
}

// Block: score_positions positions, a kv head, score_rows rows.
// Registers: at most 64. Shared memory: at most 21 KiB for heads of 128 elements, 8 to a kv head; score_positions key rows,
// and the queries of a row: [heads of the kv head, size].
template <int dtype> __global__ void __launch_bounds__(threads, 8) attention_scores(Attention p) {
  const hass_cpu_attention_args &a = p.a;
  const int size = static_cast<int>(a.size), padded = static_cast<int>(padded_size(a.size));
  const int row_bytes = key_row_bytes<dtype>(padded), heads = static_cast<int>(a.heads / a.kv_heads);
  unsigned char *const keys = shared_memory();
  auto *const queries = reinterpret_cast<float *>(keys + score_positions * row_bytes);
  const std::int64_t begin = std::int64_t(blockIdx.x) * score_positions, group = blockIdx.y;
  const std::int64_t first_row = p.first_row + std::int64_t(blockIdx.z) * score_rows, live = live_rows_of(p);
  const std::int64_t last_row = first_row + score_rows < live ? first_row + score_rows : live;
  std::int64_t loaded_sequence = -1;  // whose committed positions the keys are, all of them
  for (std::int64_t row = first_row; row < last_row; ++row) {
    const Context context = context_of(a, row);
    if (context.size <= begin) continue;
    const std::int64_t left = context.size - begin;
    const int count = left < score_positions ? static_cast<int>(left) : score_positions;
    const bool is_committed = begin + score_positions <= context.committed;
    __syncthreads();  // the row before has been computed
    if (!is_committed || context.sequence != loaded_sequence) {
      load_positions<dtype>(a, a.keys, context, begin, count, group * size, size, padded, keys, row_bytes);
      loaded_sequence = is_committed ? context.sequence : -1;
    }
    for (int i = static_cast<int>(threadIdx.x); i < heads * padded; i += threads) {
      const int head = i / padded, d = i % padded;
      queries[i] = d < size ? a.q[row * a.q_stride + (group * heads + head) * size + d] : 0.0f;
    }
    commit_copies();
    wait_for_copies<0>();
    __syncthreads();  // keys and queries are there
    for (int i = static_cast<int>(threadIdx.x); i < heads * score_positions; i += threads) {
      const int head = i / score_positions, position = i % score_positions;
      if (position >= count) continue;
      const unsigned char *key = keys + position * row_bytes;
      const float *query = queries + head * padded;
      float totals[8] = {0, 0, 0, 0, 0, 0, 0, 0};
      for (int d = 0; d < padded; d += 8) {
        float k[8], q[8];
        read_eight<dtype>(key + d * (dtype == HASS_F32 ? 4 : 2), k);
        read_eight<HASS_F32>(reinterpret_cast<const unsigned char *>(query + d), q);
#pragma unroll
        for (int j = 0; j < 8; ++j) totals[j] = totals[j] + q[j] * k[j];
      }
      const std::int64_t query_row = (row - p.first_row) * a.heads + group * heads + head;
      p.scores[query_row * p.score_stride + begin + position] = sum_of_lanes(totals) * a.scale;
    }
  }
}

constexpr int weight_positions = 1024;

// Block: a head and a row. Scores become exp(score - maximum); their sum is the divisor.
// Registers: at most 40. Shared memory: at most 5 KiB, a float for each of weight_positions positions, and for each warp.
__global__ void __launch_bounds__(threads, 12) attention_weights(Attention p) {
  auto *const tile = reinterpret_cast<float *>(shared_memory());
  float *const maxima = tile + weight_positions;
  const std::int64_t row = p.first_row + blockIdx.y, head = blockIdx.x;
  if (row >= live_rows_of(p)) return;
  const std::int64_t size = context_of(p.a, row).size, query_row = blockIdx.y * p.a.heads + head;
  float *const scores = p.scores + query_row * p.score_stride;
  const int thread = static_cast<int>(threadIdx.x);
  float maximum = -infinity();
  for (std::int64_t j = thread; j < size; j += threads) maximum = larger(maximum, scores[j]);
  for (int mask = warp_size / 2; mask > 0; mask /= 2) {
    maximum = larger(maximum, __shfl_xor_sync(all_lanes, maximum, mask));
  }
  if (thread % warp_size == 0) maxima[thread / warp_size] = maximum;
  __syncthreads();  // the maximum of every warp is there
  for (int warp = 0; warp < threads / warp_size; ++warp) maximum = larger(maximum, maxima[warp]);
  float total = 0.0f;  // lane j of the first eight: positions j, j + 8, ...
  for (std::int64_t begin = 0; begin < size; begin += weight_positions) {
    const std::int64_t left = size - begin;
    const int count = left < weight_positions ? static_cast<int>(left) : weight_positions;
    for (int i = thread; i < count; i += threads) {
      const float weight = exponential(scores[begin + i] - maximum);
      scores[begin + i] = weight;
      tile[i] = weight;
    }
    __syncthreads();  // the tile is there
    if (thread < 8) {
      for (int i = thread; i < count; i += 8) total = total + tile[i];
    }
    __syncthreads();  // the tile has been added
  }
  if (thread < warp_size) {
    const float divisor = sum_across_lanes(total);
    if (thread == 0) p.divisors[query_row] = divisor;
  }
}

// Block: value_columns columns of a kv head, up to value_heads of its heads, value_rows rows.
// Registers: at most 64. Shared memory: at most 18 KiB, value_positions x value_columns elements and value_heads x
// value_positions weights.
template <int dtype> __global__ void __launch_bounds__(threads, 8) attention_values(Attention p) {
  const hass_cpu_attention_args &a = p.a;
  constexpr int element_bytes = dtype == HASS_F32 ? 4 : 2, row_bytes = value_columns * element_bytes;
  const int size = static_cast<int>(a.size), heads = static_cast<int>(a.heads / a.kv_heads);
  const int lane = static_cast<int>(threadIdx.x) % warp_size, warp = static_cast<int>(threadIdx.x) / warp_size;
  const int chunks = static_cast<int>(ceiling(heads, value_heads));
  const std::int64_t group = blockIdx.y / chunks, head = blockIdx.y % chunks * value_heads + warp;
  const int first_column = static_cast<int>(blockIdx.x) * value_columns;
  const int columns = size - first_column < value_columns ? size - first_column : value_columns;
  unsigned char *const values = shared_memory();
  float *const weights = reinterpret_cast<float *>(values + value_positions * row_bytes) + warp * value_positions;
  const std::int64_t first_row = p.first_row + std::int64_t(blockIdx.z) * value_rows, live = live_rows_of(p);
  const std::int64_t num_rows = live - first_row < value_rows ? live - first_row : value_rows;
  if (num_rows <= 0) return;

  float totals[value_rows];
  std::int64_t longest = 0;
#pragma unroll
  for (int r = 0; r < value_rows; ++r) {
    totals[r] = 0.0f;
    if (r >= num_rows) continue;
    const std::int64_t context_size = context_of(a, first_row + r).size;
    longest = context_size > longest ? context_size : longest;
  }
  for (std::int64_t begin = 0; begin < longest; begin += value_positions) {
    std::int64_t loaded_sequence = -1;
#pragma unroll
    for (int r = 0; r < value_rows; ++r) {
      if (r >= num_rows) continue;
      const Context context = context_of(a, first_row + r);
      if (context.size <= begin) continue;
      const std::int64_t left = context.size - begin;
      const int count = left < value_positions ? static_cast<int>(left) : value_positions;
      const bool is_committed = begin + value_positions <= context.committed;
      __syncthreads();  // the row before has been computed
      if (!is_committed || context.sequence != loaded_sequence) {
        load_positions<dtype>(a, a.values, context, begin, count, group * size + first_column, columns,
                              static_cast<int>(padded_size(columns)), values, row_bytes);
        loaded_sequence = is_committed ? context.sequence : -1;
      }
      if (head < heads) {
        const std::int64_t query_row = (first_row + r - p.first_row) * a.heads + group * heads + head;
        const float *source = p.scores + query_row * p.score_stride + begin;
        for (int i = lane; i < count; i += warp_size) weights[i] = source[i];
      }
      commit_copies();
      wait_for_copies<0>();
      __syncthreads();  // values and weights are there
      if (head >= heads || lane >= columns) continue;
      float total = totals[r];
#pragma unroll 8
      for (int i = 0; i < count; ++i) {
        total = total + weights[i] * read_element<dtype>(values + i * row_bytes, lane);
      }
      totals[r] = total;
    }
  }
  if (head >= heads || lane >= columns) return;
#pragma unroll
  for (int r = 0; r < value_rows; ++r) {
    if (r >= num_rows) continue;
    const std::int64_t row = first_row + r, query_row = (row - p.first_row) * a.heads + group * heads + head;
    const bool is_empty = context_of(a, row).size == 0;
    a.y[row * a.y_stride + (group * heads + head) * size + first_column + lane] =
        is_empty ? 0.0f : totals[r] / p.divisors[query_row];
  }
}

template <int dtype> void launch_batch(const Launch &to, const Attention &p, unsigned rows) {
  const hass_cpu_attention_args &a = p.a;
  const auto heads = static_cast<unsigned>(a.heads / a.kv_heads), groups = static_cast<unsigned>(a.kv_heads);
  const int padded = static_cast<int>(padded_size(a.size));
  const std::int64_t context = a.max_context > 0 ? a.max_context : 1;
  const std::size_t key_bytes = std::size_t(score_positions) * key_row_bytes<dtype>(padded);
  launch(attention_scores<dtype>,
         dim3(unsigned(ceiling(context, score_positions)), groups, unsigned(ceiling(rows, score_rows))), threads,
         key_bytes + std::size_t(heads) * padded * sizeof(float), to.stream, p);
  launch(attention_weights, dim3(unsigned(a.heads), rows), threads,
         (weight_positions + threads / warp_size) * sizeof(float), to.stream, p);
  launch(attention_values<dtype>,
         dim3(unsigned(ceiling(a.size, value_columns)), groups * unsigned(ceiling(heads, value_heads)),
              unsigned(ceiling(rows, value_rows))),
         threads,
         std::size_t(value_positions) * (value_columns * (dtype == HASS_F32 ? 4 : 2) + value_heads * sizeof(float)),
         to.stream, p);
}

std::int64_t score_stride_of(const hass_cpu_attention_args &a) { return rounded_up(a.max_context, 8); }
std::int64_t batch_of(const hass_cpu_attention_args &a) { return a.rows < batch_rows ? a.rows : batch_rows; }

}  // namespace

std::size_t attention_scratch_bytes(const hass_cpu_attention_args &a) {
  return std::size_t(batch_of(a) * a.heads * (score_stride_of(a) + 1)) * sizeof(float);
}

void launch_tree_attention(const Launch &to, const hass_cpu_attention_args &a) {
  Attention p{a, to.live_rows, 0, static_cast<float *>(to.scratch), score_stride_of(a), nullptr};
  p.divisors = p.scores + batch_of(a) * a.heads * p.score_stride;
  for (; p.first_row < a.rows; p.first_row += batch_rows) {
    const std::int64_t left = a.rows - p.first_row;
    const auto rows = static_cast<unsigned>(left < batch_rows ? left : batch_rows);
    switch (a.cache_dtype) {
      case HASS_F32: launch_batch<HASS_F32>(to, p, rows); break;
      case HASS_F16: launch_batch<HASS_F16>(to, p, rows); break;
      default: launch_batch<HASS_BF16>(to, p, rows);
    }
  }
}

}  // namespace hass::cuda
