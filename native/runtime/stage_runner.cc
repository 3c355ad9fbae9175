#include "stage_runner.h"

#include <algorithm>

#include "failure.h"

namespace hass {
namespace {

// Below this, moving a row to another core costs more than a second thread brings.
constexpr double shared_ns = 3e3;
// What the first thread to be through with its share waits for at most.
constexpr double chunk_ns = 6e3;
// Alone, chunks are only the places where an interruption takes effect.
constexpr double lone_chunk_ns = 1e6;
constexpr std::int64_t max_chunks = 4096;

struct Job {
  hass_cpu_run run;
  const void *arguments;
  std::int64_t units, chunks;
  unsigned char *scratch;
  std::size_t scratch_bytes;
};

void run_chunk(void *context, std::int32_t chunk, std::int32_t thread) {
  const Job &job = *static_cast<const Job *>(context);
  const std::int64_t begin = job.units * chunk / job.chunks;
  const std::int64_t end = job.units * (chunk + 1) / job.chunks;
  job.run(job.arguments, begin, end, job.scratch + static_cast<std::size_t>(thread) * job.scratch_bytes);
}

}  // namespace

std::size_t stage_scratch_bytes(hass_cpu_stage stage, const void *arguments) {
  const std::size_t bytes = hass_cpu_scratch_bytes(stage, arguments);
  if (bytes > HASS_MAX_BYTES) fail(HASS_STATUS_TOO_LARGE, "An operation needs too much scratch memory.");
  return (bytes + HASS_ALIGNMENT - 1) & ~std::size_t(HASS_ALIGNMENT - 1);
}

void StageRunner::run_stage(hass_cpu_stage stage, const void *arguments) {
  const std::int64_t units = hass_cpu_units(stage, arguments);
  if (units <= 0) return;
  if (stage_scratch_bytes(stage, arguments) > scratch_bytes_) {
    fail(HASS_STATUS_INTERNAL, "Stage %d needs more scratch memory than was planned.", static_cast<int>(stage));
  }
  const double cost = hass_cpu_cost(stage, arguments);
  const hass_cpu_run run = device_->kernels->run[stage];
  const std::int32_t threads = device_->pool.threads();
  std::int64_t chunks = 1;
  if (cost >= shared_ns) {
    const double by_cost = std::min(cost / (threads == 1 ? lone_chunk_ns : chunk_ns), double(max_chunks));
    // As many for each thread.
    chunks = std::min(units, static_cast<std::int64_t>(by_cost / threads + 0.5) * threads);
    chunks = std::max<std::int64_t>(chunks, std::min<std::int64_t>(units, threads));
  }
  Job job{run, arguments, units, chunks, scratch_, scratch_bytes_};
  device_->pool.run(static_cast<std::int32_t>(chunks), run_chunk, &job);
}

}  // namespace hass
