// What the launchers of cuda/ ask a GPU for. Reads stages with their sizes, one a line, and writes a line for each grid:
// the number of the stage's line, the kernel's address, blocks (x, y, z), threads, bytes of shared memory. Nothing is computed.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "../../cuda/stages.h"
#include "../../emulation/emulation.h"

using namespace hass::cuda;

namespace {

int line_number = -1;

void write_grid(const hass::emulation::Grid &grid) {
  std::printf("%d %llx %u %u %u %u %zu\n", line_number,
              static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(grid.kernel)), grid.blocks.x, grid.blocks.y,
              grid.blocks.z, grid.threads.x, grid.shared_bytes);
}

hass_cpu_linear_args read_linear(std::istream &sizes) {
  hass_cpu_linear_args a{};
  sizes >> a.weight_dtype >> a.activation_block >> a.rows >> a.in >> a.out;
  return a;
}

// Sizes of a stage, in the order of its line.
hass_cpu_stage read_stage(std::istream &line, StageArguments &a) {
  std::string name;
  line >> name;
  if (name == "linear") return a.linear = read_linear(line), HASS_CPU_LINEAR;
  if (name == "linear-silu-mul") return a.linear = read_linear(line), HASS_CPU_LINEAR_SILU_MUL;
  if (name == "quantize") {
    line >> a.quantize.block >> a.quantize.rows >> a.quantize.in;
    return HASS_CPU_QUANTIZE;
  }
  if (name == "embedding") {
    line >> a.embedding.weight_dtype >> a.embedding.rows >> a.embedding.in;
    return HASS_CPU_EMBEDDING;
  }
  if (name == "rms-norm") {
    line >> a.rms_norm.rows >> a.rms_norm.groups >> a.rms_norm.size;
    return HASS_CPU_RMS_NORM;
  }
  if (name == "rope") {
    line >> a.rope.rows >> a.rope.groups >> a.rope.size;
    return HASS_CPU_ROPE;
  }
  if (name == "cache-write") {
    line >> a.cache_write.rows >> a.cache_write.columns;
    return HASS_CPU_CACHE_WRITE;
  }
  if (name == "qkv-finish") {
    line >> a.qkv_finish.rows >> a.qkv_finish.heads >> a.qkv_finish.kv_heads >> a.qkv_finish.size;
    return HASS_CPU_QKV_FINISH;
  }
  if (name == "attention") {
    auto &attention = a.attention;
    line >> attention.cache_dtype >> attention.rows >> attention.heads >> attention.kv_heads >> attention.size >>
        attention.max_context;
    return HASS_CPU_TREE_ATTENTION;
  }
  if (name == "gather-rows" || name == "scatter-rows") {
    line >> a.move_rows.count >> a.move_rows.row_bytes;
    return name == "gather-rows" ? HASS_CPU_GATHER_ROWS : HASS_CPU_SCATTER_ROWS;
  }
  const std::map<std::string, hass_cpu_stage> binary = {
      {"silu-mul", HASS_CPU_SILU_MUL}, {"add", HASS_CPU_ADD}, {"mul", HASS_CPU_MUL}};
  if (const auto found = binary.find(name); found != binary.end()) {
    line >> a.binary.rows >> a.binary.columns;
    return found->second;
  }
  const std::map<std::string, hass_cpu_stage> choices = {
      {"arg-max", HASS_CPU_ARG_MAX}, {"top-k", HASS_CPU_TOP_K}, {"log-softmax", HASS_CPU_LOG_SOFTMAX}};
  if (const auto found = choices.find(name); found != choices.end()) {
    line >> a.row_wise.rows >> a.row_wise.columns;
    return found->second;
  }
  if (name == "gumbel-arg-max") {
    line >> a.gumbel.rows >> a.gumbel.columns;
    return HASS_CPU_GUMBEL_ARG_MAX;
  }
  if (name == "concat-columns" || name == "slice-columns") {
    line >> a.rows;
    return name == "concat-columns" ? HASS_CPU_CONCAT_COLUMNS : HASS_CPU_SLICE_COLUMNS;
  }
  line.setstate(std::ios::failbit);
  return HASS_CPU_NUM_STAGES;
}

}  // namespace

int main() {
  hass::emulation::watch_grids(write_grid);
  cudaStream_t stream;
  cudaStreamCreate(&stream);
  for (std::string text; std::getline(std::cin, text);) {
    ++line_number;
    std::istringstream line(text);
    StageArguments arguments{};
    const hass_cpu_stage stage = read_stage(line, arguments);
    if (!line) {
      std::fprintf(stderr, "Line %d is no stage with its sizes: %s\n", line_number, text.c_str());
      return 1;
    }
    launch_stage({stream, nullptr, nullptr}, stage, arguments);
    if (cudaStreamSynchronize(stream) != cudaSuccess) return 1;
  }
  return 0;
}
