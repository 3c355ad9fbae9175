// Choices over the vocabulary: arg max, top-k, log-softmax, Gumbel arg max. A block is a row. Exact (NUMERICS.md): of
// what a maximum is made of is of no consequence, and the one sum runs in lane order.
#include "functions.h"
#include "launchers.h"

namespace hass::cuda {
namespace {

constexpr int threads = 256;
constexpr int warps = threads / warp_size;
constexpr int tile = 1024;
constexpr std::uint32_t no_token = 0xffffffffu;

// A token and what it is worth; of equals, the lower id is the better one.
template <typename Number> struct Candidate {
  Number value;
  std::uint32_t token;

  __device__ __forceinline__ void take_better(const Candidate &other) {
    if (other.value > value || (other.value == value && other.token < token)) *this = other;
  }
};

template <typename Number> __device__ __forceinline__ Candidate<Number> no_candidate() {
  return {static_cast<Number>(-infinity()), no_token};
}

// The best of all threads' candidates, for all of them. memory: [warps].
template <typename Number>
__device__ __forceinline__ Candidate<Number> best_of_block(Candidate<Number> own, Candidate<Number> *memory) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int mask = warp_size / 2; mask > 0; mask /= 2) {
    const Candidate<Number> other{__shfl_xor_sync(all_lanes, own.value, mask),
                                  __shfl_xor_sync(all_lanes, own.token, mask)};
    own.take_better(other);
  }
  __syncthreads();  // what was in the memory has been read
  if (thread % warp_size == 0) memory[thread / warp_size] = own;
  __syncthreads();  // every warp's candidate is there
  for (int warp = 0; warp < warps; ++warp) own.take_better(memory[warp]);
  return own;
}

__device__ __forceinline__ Candidate<float> arg_max_of_row(const float *x, std::int64_t columns,
                                                           Candidate<float> *memory) {
  Candidate<float> best = no_candidate<float>();
  for (std::int64_t v = threadIdx.x; v < columns; v += threads) {
    if (x[v] > best.value) best = {x[v], static_cast<std::uint32_t>(v)};
  }
  return best_of_block(best, memory);
}

// 0 where nothing was larger than -infinity.
template <typename Number> __device__ __forceinline__ std::uint32_t token_of(const Candidate<Number> &best) {
  return best.value > static_cast<Number>(-infinity()) ? best.token : 0;
}

// Registers: at most 40. Shared memory: at most 1 KiB, a candidate for each warp.
__global__ void __launch_bounds__(threads, 6) arg_max(Parameters<hass_cpu_rows_args> p) {
  const hass_cpu_rows_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (row >= *p.live_rows) return;
  auto *const memory = reinterpret_cast<Candidate<float> *>(shared_memory());
  const Candidate<float> best = arg_max_of_row(a.x + row * a.x_stride, a.columns, memory);
  if (threadIdx.x == 0) a.token[row] = token_of(best);
}

// k times the best of those that come after the last one. Registers: at most 40. Shared memory: at most 1 KiB, as above.
__global__ void __launch_bounds__(threads, 6) top_k(Parameters<hass_cpu_rows_args> p) {
  const hass_cpu_rows_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (row >= *p.live_rows) return;
  auto *const memory = reinterpret_cast<Candidate<float> *>(shared_memory());
  const float *const x = a.x + row * a.x_stride;
  Candidate<float> last{infinity(), 0};
  for (std::int64_t k = 0; k < a.k; ++k) {
    Candidate<float> best = no_candidate<float>();
    for (std::int64_t v = threadIdx.x; v < a.columns; v += threads) {
      const float value = x[v] == x[v] ? x[v] : -infinity();
      const auto token = static_cast<std::uint32_t>(v);
      const bool is_after = k == 0 || value < last.value || (value == last.value && token > last.token);
      if (is_after) best.take_better({value, token});
    }
    last = best_of_block(best, memory);
    if (threadIdx.x == 0) {
      a.ids[row * a.k + k] = last.token;
      a.values[row * a.k + k] = last.value;
    }
  }
}

// Registers: at most 64. Shared memory: at most 5 KiB, a float for each of `tile` elements, and a candidate for each warp.
__global__ void __launch_bounds__(threads, 4) log_softmax(Parameters<hass_cpu_rows_args> p) {
  const hass_cpu_rows_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (row >= *p.live_rows) return;
  auto *const terms = reinterpret_cast<float *>(shared_memory());
  const float *const x = a.x + row * a.x_stride;
  const int thread = static_cast<int>(threadIdx.x);
  const float maximum =
      arg_max_of_row(x, a.columns, reinterpret_cast<Candidate<float> *>(terms + tile)).value;
  double total = 0.0;  // lane j of the first eight: tokens j, j + 8, ...
  for (std::int64_t begin = 0; begin < a.columns; begin += tile) {
    const std::int64_t left = a.columns - begin;
    const int count = left < tile ? static_cast<int>(left) : tile;
    for (int i = thread; i < count; i += threads) terms[i] = exponential(x[begin + i] - maximum);
    __syncthreads();  // the terms are there
    if (thread < 8) {
      for (int i = thread; i < count; i += 8) total += static_cast<double>(terms[i]);
    }
    __syncthreads();  // the terms have been added
  }
  if (thread < warp_size) {
    const double sum = sum_across_lanes(total);
    if (thread == 0) terms[0] = logarithm(static_cast<float>(sum));
  }
  __syncthreads();  // the logarithm is there
  const float shift = terms[0];
  float *const y = a.y + row * a.y_stride;
  for (std::int64_t v = thread; v < a.columns; v += threads) y[v] = (x[v] - maximum) - shift;
}

// No noise is larger: it belongs to the word 0 and is 22.87.
constexpr double largest_gumbel = 22.875;

// E >= u, so G = -ln E <= -ln u, which the leading zeros of the word bound. Rounding is monotonic: the bound holds for
// rounded sums, too.
__device__ __forceinline__ double gumbel_bound(std::uint32_t word) {
  return (leading_zeros(word) + 1) * 0.6931471805599454 + 1e-9;
}

// A logit at or below which nothing can win against `best`; rounding is covered by the slack.
__device__ __forceinline__ float losing_logit(double best, double temperature) {
  const double bound = (best - largest_gumbel) * temperature;
  const double slack = (bound < 0 ? -bound : bound) * 1e-6 + 1e-6 * temperature;
  return temperature > 0 && bound - slack > -3e38 ? static_cast<float>(bound - slack) : -infinity();
}

// Registers: at most 80. Shared memory: at most 1 KiB, a candidate for each warp.
__global__ void __launch_bounds__(threads, 3) gumbel_arg_max(Parameters<hass_cpu_gumbel_args> p) {
  const hass_cpu_gumbel_args &a = p.stage;
  const std::int64_t row = blockIdx.x;
  if (row >= *p.live_rows) return;
  const float *const x = a.x + row * a.x_stride;
  const Candidate<float> largest =
      arg_max_of_row(x, a.columns, reinterpret_cast<Candidate<float> *>(shared_memory()));
  const double temperature = a.temperatures[row];
  if (temperature == 0) {
    if (threadIdx.x == 0) a.token[row] = token_of(largest);
    return;
  }
  const std::uint32_t key0 = a.seeds[2 * row], key1 = a.seeds[2 * row + 1], position = a.positions[row];
  Candidate<double> best = no_candidate<double>();
  if (largest.token != no_token) {
    // Its key is high, which spares most of the others their noise.
    best = {static_cast<double>(largest.value) / temperature +
                gumbel_of_word(noise_word(key0, key1, position, largest.token)),
            largest.token};
  }
  float floor = losing_logit(best.value, temperature);
  for (std::int64_t v = threadIdx.x; v < a.columns; v += threads) {
    if (!(x[v] > floor)) continue;
    const double value = static_cast<double>(x[v]) / temperature;
    if (!(value + largest_gumbel >= best.value)) continue;
    const std::uint32_t word = noise_word(key0, key1, position, static_cast<std::uint32_t>(v));
    if (!(value + gumbel_bound(word) >= best.value)) continue;
    best.take_better({value + gumbel_of_word(word), static_cast<std::uint32_t>(v)});
    floor = losing_logit(best.value, temperature);
  }
  best = best_of_block(best, reinterpret_cast<Candidate<double> *>(shared_memory()));
  if (threadIdx.x == 0) a.token[row] = token_of(best);
}

Parameters<hass_cpu_rows_args> parameters_of(const Launch &to, const hass_cpu_rows_args &a) {
  return {a, to.live_rows};
}

}  // namespace

void launch_arg_max(const Launch &to, const hass_cpu_rows_args &a) {
  launch(arg_max, dim3(unsigned(a.rows)), threads, warps * sizeof(Candidate<float>), to.stream, parameters_of(to, a));
}

void launch_top_k(const Launch &to, const hass_cpu_rows_args &a) {
  launch(top_k, dim3(unsigned(a.rows)), threads, warps * sizeof(Candidate<float>), to.stream, parameters_of(to, a));
}

void launch_log_softmax(const Launch &to, const hass_cpu_rows_args &a) {
  launch(log_softmax, dim3(unsigned(a.rows)), threads, tile * sizeof(float) + warps * sizeof(Candidate<float>),
         to.stream, parameters_of(to, a));
}

void launch_gumbel_arg_max(const Launch &to, const hass_cpu_gumbel_args &a) {
  launch(gumbel_arg_max, dim3(unsigned(a.rows)), threads, warps * sizeof(Candidate<double>), to.stream,
         Parameters<hass_cpu_gumbel_args>{a, to.live_rows});
}

}  // namespace hass::cuda
