// Cases of tree attention: a few sequences, trees of ancestors, slots anywhere in the cache.
#include "case_groups.h"

namespace test {
namespace {

struct AttentionInputs {
  std::int64_t heads, kv_heads, size, slots;
  std::int32_t dtype;
  float scale;
  std::vector<std::vector<std::uint32_t>> committed, ancestors;  // by sequence, by row
  std::vector<std::uint32_t> sequence;                           // by row
  std::vector<float> q;
  std::vector<float> keys, values;  // of the cache as float32, written to it by CACHE_WRITE
};

AttentionInputs attention_inputs(Random &random, double hostility) {
  AttentionInputs i;
  i.kv_heads = random.integer(1, 3);
  i.heads = i.kv_heads * random.integer(1, 4);
  i.size = random.integer(1, 80);
  i.dtype = random.pick({HASS_F32, HASS_F16, HASS_BF16});
  i.scale = 1.0f / std::sqrt(static_cast<float>(i.size));
  i.slots = 160;
  std::vector<std::uint32_t> free(static_cast<std::size_t>(i.slots));
  for (std::size_t s = 0; s < free.size(); ++s) free[s] = static_cast<std::uint32_t>(s);
  const auto take = [&] {
    const auto at = static_cast<std::size_t>(random.integer(0, static_cast<std::int64_t>(free.size()) - 1));
    const std::uint32_t slot = free[at];
    free.erase(free.begin() + static_cast<std::ptrdiff_t>(at));
    return slot;
  };
  const std::int64_t sequences = random.integer(1, 3);
  for (std::int64_t s = 0; s < sequences; ++s) {
    i.committed.emplace_back();
    for (std::int64_t n = random.integer(0, 36); n > 0; --n) i.committed.back().push_back(take());
    const std::size_t first = i.ancestors.size();
    for (std::int64_t n = random.integer(1, 11); n > 0; --n) {
      std::vector<std::uint32_t> path;
      const bool is_chain = random.chance(0.5);
      if (i.ancestors.size() > first) {
        const auto last = static_cast<std::int64_t>(i.ancestors.size()) - 1;
        path = i.ancestors[static_cast<std::size_t>(
            is_chain ? last : random.integer(static_cast<std::int64_t>(first), last))];
      }
      path.push_back(take());
      i.ancestors.push_back(path);
      i.sequence.push_back(static_cast<std::uint32_t>(s));
    }
  }
  const auto rows = static_cast<std::int64_t>(i.sequence.size());
  i.q = random.floats(rows * i.heads * i.size, hostility / 500, random.pick({0.3f, 3.0f}));
  i.keys = random.floats(i.slots * i.kv_heads * i.size, hostility / 500);
  i.values = random.floats(i.slots * i.kv_heads * i.size, hostility / 500);
  return i;
}

// shift: slots are renumbered (slot + shift) mod slots, keys and values with them.
std::vector<Bytes> run_attention(const AttentionInputs &i, const hass_cpu_kernels &kernels,
                                 const std::vector<std::int64_t> &rows, Split split, std::uint32_t shift) {
  const std::int64_t columns = i.kv_heads * i.size, stride = columns + 2, width = i.heads * i.size;
  const auto moved = [&](std::uint32_t slot) { return (slot + shift) % static_cast<std::uint32_t>(i.slots); };
  std::vector<std::uint32_t> all;
  for (std::uint32_t s = 0; s < static_cast<std::uint32_t>(i.slots); ++s) all.push_back(moved(s));
  const std::size_t cache_bytes = static_cast<std::size_t>(i.slots * stride) * (i.dtype == HASS_F32 ? 4 : 2);
  const Aligned keys(cache_bytes, 0xff), values(cache_bytes, 0xff);
  const hass_cpu_cache_write_args write_keys = {i.slots, columns, i.dtype,    all.data(),
                                                i.keys.data(), columns, keys.get(), stride};
  const hass_cpu_cache_write_args write_values = {i.slots, columns, i.dtype,      all.data(),
                                                  i.values.data(), columns, values.get(), stride};
  execute(kernels, HASS_CPU_CACHE_WRITE, &write_keys, whole);
  execute(kernels, HASS_CPU_CACHE_WRITE, &write_values, whole);

  std::vector<std::uint32_t> sequence, sequence_offsets = {0}, context, ancestor_offsets = {0}, ancestors;
  std::vector<float> q;
  for (const auto &slots : i.committed) {
    for (const std::uint32_t slot : slots) context.push_back(moved(slot));
    sequence_offsets.push_back(static_cast<std::uint32_t>(context.size()));
  }
  std::int64_t max_context = 0;
  for (const std::int64_t r : rows) {
    const auto row = static_cast<std::size_t>(r);
    sequence.push_back(i.sequence[row]);
    for (const std::uint32_t slot : i.ancestors[row]) ancestors.push_back(moved(slot));
    ancestor_offsets.push_back(static_cast<std::uint32_t>(ancestors.size()));
    q.insert(q.end(), i.q.begin() + r * width, i.q.begin() + (r + 1) * width);
    const auto length = static_cast<std::int64_t>(i.committed[i.sequence[row]].size() + i.ancestors[row].size());
    max_context = length > max_context ? length : max_context;
  }
  std::vector<float> y(rows.size() * static_cast<std::size_t>(width), NAN);
  const hass_cpu_attention_args args = {static_cast<std::int64_t>(rows.size()),
                                        i.heads,
                                        i.kv_heads,
                                        i.size,
                                        i.scale,
                                        i.dtype,
                                        max_context,
                                        q.data(),
                                        width,
                                        keys.get(),
                                        values.get(),
                                        stride,
                                        sequence.data(),
                                        sequence_offsets.data(),
                                        context.data(),
                                        ancestor_offsets.data(),
                                        ancestors.data(),
                                        y.data(),
                                        width};
  execute(kernels, HASS_CPU_TREE_ATTENTION, &args, split);
  std::vector<Bytes> result;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    result.push_back(bytes_of_floats(y.data() + r * static_cast<std::size_t>(width), width));
  }
  return result;
}

// A tree node and the same token decoded alone: its ancestors have been committed, into other slots.
std::vector<Bytes> run_decoded(const AttentionInputs &i, const hass_cpu_kernels &kernels,
                               const std::vector<std::int64_t> &rows, Split split) {
  std::vector<Bytes> result;
  for (const std::int64_t r : rows) {
    AttentionInputs alone = i;
    const auto row = static_cast<std::size_t>(r);
    std::vector<std::uint32_t> path = i.ancestors[row];
    alone.committed[i.sequence[row]].insert(alone.committed[i.sequence[row]].end(), path.begin(), path.end() - 1);
    alone.ancestors[row] = {path.back()};
    result.push_back(run_attention(alone, kernels, {r}, split, 37).front());
  }
  return result;
}

}  // namespace

void add_attention_cases(Random &random, double hostility, std::vector<Case> &cases) {
  const auto inputs = std::make_shared<AttentionInputs>(attention_inputs(random, hostility));
  const auto rows = static_cast<std::int64_t>(inputs->sequence.size());
  const std::string name = "tree attention, rows " + std::to_string(rows) + ", heads " +
                           std::to_string(inputs->heads) + "/" + std::to_string(inputs->kv_heads) + ", size " +
                           std::to_string(inputs->size) + ", dtype " + std::to_string(inputs->dtype);
  cases.push_back({name, rows, true,
                   [=](const hass_cpu_kernels &kernels, const std::vector<std::int64_t> &chosen, Split split) {
                     // One row, or backwards: as decoded, elsewhere in the cache. All of it must agree.
                     return chosen.size() == 1 || split.is_backwards
                                ? run_decoded(*inputs, kernels, chosen, split)
                                : run_attention(*inputs, kernels, chosen, split, 0);
                   }});
}

}  // namespace test
