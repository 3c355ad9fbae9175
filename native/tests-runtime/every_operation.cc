#include "every_operation.h"

#include <cstdlib>
#include <cstring>

#include "program_writer.h"

namespace test {
namespace {

constexpr std::int32_t hidden = 64, heads = 4, groups = 2, head = 16, vocabulary = 96, positions = 64, slots = 32,
                       inner = 64, top = 5, qkv_width = (heads + 2 * groups) * head;
// Dimensions of the program.
enum { rows_dim, selected_dim, offsets_dim, context_dim, row_offsets_dim, ancestors_dim, both_dim };

float noise(std::size_t index) {
  const auto mixed = static_cast<std::uint32_t>(index * 2654435761u + 12345u) >> 8;
  return static_cast<float>(mixed % 2001) / 1000.0f - 1.0f;
}

}  // namespace

EveryOperation::EveryOperation(const hass_backend &chosen, const char *isa, std::int32_t threads,
                               bool keeps_everything)
    : backend(chosen) {
  try {
    const hass_status status = backend.create_device(isa, threads, &device, &error);
    if (status != HASS_STATUS_OK) throw status;
    build(keeps_everything);
  } catch (...) {
    release();
    throw;
  }
}

EveryOperation::~EveryOperation() { release(); }

void EveryOperation::release() {
  std::free(parameters_);
  if (program) backend.destroy_program(program);
  for (hass_buffer *buffer : buffers_) backend.destroy_buffer(buffer);
  if (device) backend.destroy_device(device);
}

hass_buffer *EveryOperation::plain(std::size_t bytes) {
  hass_buffer *buffer = nullptr;
  const hass_status status = backend.create_buffer(device, bytes, &buffer, &error);
  if (status != HASS_STATUS_OK) throw status;
  buffers_.push_back(buffer);
  return buffer;
}

hass_buffer *EveryOperation::floats(std::size_t count, float scale) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; i++) values[i] = noise(i + buffers_.size() * 7919) * scale;
  hass_buffer *buffer = plain(count * sizeof(float));
  backend.write_buffer(buffer, 0, values.data(), count * sizeof(float), &error);
  return buffer;
}

hass_buffer *EveryOperation::weight(std::int32_t dtype, std::int32_t rows, std::int32_t columns) {
  hass_buffer *buffer = nullptr;
  hass_status status = backend.create_weight(device, dtype, rows, columns, &buffer, &error);
  if (status != HASS_STATUS_OK) throw status;
  buffers_.push_back(buffer);
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < values.size(); i++) values[i] = noise(i + buffers_.size() * 104729) * 0.2f;
  if (dtype == HASS_F32 || dtype == HASS_Q4 || dtype == HASS_Q8) {
    status = backend.write_weight(buffer, HASS_FORMAT_F32, 0, rows, values.data(), values.size() * 4, &error);
  } else {
    std::vector<std::uint16_t> halves(values.size());
    for (std::size_t i = 0; i < halves.size(); i++) halves[i] = static_cast<std::uint16_t>(0x3000 + i % 1024);
    const std::int32_t format = dtype == HASS_F16 ? HASS_FORMAT_F16 : HASS_FORMAT_BF16;
    status = backend.write_weight(buffer, format, 0, rows, halves.data(), halves.size() * 2, &error);
  }
  if (status != HASS_STATUS_OK) throw status;
  return buffer;
}

void EveryOperation::build(bool keeps_everything) {
  ProgramWriter w;
  w.dims = {max_rows, max_rows, 3, 16, max_rows + 1, max_rows * (max_rows + 1) / 2, 2 * max_rows};
  const std::int32_t R = dim(rows_dim), L = dim(selected_dim);
  const auto input = [&](const char *name, std::int32_t dtype, std::initializer_list<std::int32_t> shape) {
    const std::int32_t tensor = w.tensor(HASS_INPUT, dtype, shape);
    inputs_.push_back({tensor, name});
    return tensor;
  };
  const auto activation = [&](std::initializer_list<std::int32_t> shape) {
    return w.tensor(keeps_everything ? HASS_OUTPUT : HASS_ACTIVATION, HASS_F32, shape);
  };
  const auto output = [&](std::int32_t dtype, std::initializer_list<std::int32_t> shape) {
    outputs_.push_back(w.tensor(HASS_OUTPUT, dtype, shape));
    return outputs_.back();
  };
  const auto state = [&](std::int32_t dtype) {
    states_.push_back(plain(slots * groups * head * (dtype == HASS_F32 ? 4u : 2u)));
    return w.tensor(HASS_STATE, dtype, {slots, groups * head}, states_.back());
  };
  const auto matrix = [&](std::int32_t dtype, std::int32_t rows, std::int32_t columns) {
    return w.tensor(HASS_WEIGHT, dtype, {rows, columns}, weight(dtype, rows, columns));
  };
  const auto vector = [&](std::int32_t count) {
    return w.tensor(HASS_WEIGHT, HASS_F32, {count}, floats(static_cast<std::size_t>(count), 1.0f));
  };

  const std::int32_t tokens = input("tokens", HASS_U32, {R}), at = input("positions", HASS_U32, {R}),
                     slot = input("slots", HASS_U32, {R}), sequence = input("row_sequence", HASS_U32, {R}),
                     sequence_offsets = input("sequence_offsets", HASS_U32, {dim(offsets_dim)}),
                     context = input("context_slots", HASS_U32, {dim(context_dim)}),
                     ancestor_offsets = input("ancestor_offsets", HASS_U32, {dim(row_offsets_dim)}),
                     ancestors = input("ancestor_slots", HASS_U32, {dim(ancestors_dim)}),
                     selected = input("selected", HASS_U32, {L}),
                     temperature = input("temperatures", HASS_U32, {R, 2}),
                     seeds = input("seeds", HASS_U32, {R, 2}), from = input("from", HASS_U32, {L}),
                     to = input("to", HASS_U32, {L});
  const std::int32_t keys = state(HASS_F16), values = state(HASS_F16), extra = state(HASS_F32);
  const std::int32_t table = w.tensor(HASS_WEIGHT, HASS_F32, {positions, head}, floats(positions * head, 1.0f));
  const std::int32_t eps = bits(1e-5f), norm = vector(hidden), head_norm = vector(head);

  const std::int32_t x = activation({R, hidden}), n = activation({R, hidden}), q = activation({R, hidden}),
                     attended = activation({R, hidden}), o = activation({R, hidden}), m = activation({R, hidden}),
                     h = activation({R, hidden}), f = activation({R, inner}), y = output(HASS_F32, {R, hidden});
  w.operation(HASS_OP_EMBEDDING, {x, tokens, matrix(HASS_BF16, vocabulary, hidden)});
  w.operation(HASS_OP_RMS_NORM, {n, x, norm}, {eps});
  w.operation(HASS_OP_QKV_ROPE_CACHE,
              {q, keys, values, n, matrix(HASS_Q4, qkv_width, hidden), vector(qkv_width), head_norm, HASS_NONE, at,
               table, slot},
              {16, heads, groups, head, 0, eps});
  w.operation(HASS_OP_TREE_ATTENTION,
              {attended, q, keys, values, sequence, sequence_offsets, context, ancestor_offsets, ancestors},
              {heads, groups, head, bits(0.25f)});
  w.operation(HASS_OP_LINEAR, {o, attended, matrix(HASS_Q4, hidden, hidden), HASS_NONE, x}, {32});
  w.operation(HASS_OP_ADD_RMS_NORM, {m, h, o, x, norm}, {eps});
  w.operation(HASS_OP_LINEAR_SILU_MUL, {f, m, matrix(HASS_Q4, 2 * inner, hidden), HASS_NONE}, {32});
  w.operation(HASS_OP_LINEAR, {y, f, matrix(HASS_Q8, hidden, inner), vector(hidden), h}, {32});

  // Both read the quantized m of the gate above.
  const std::int32_t rotated = activation({R, hidden}), a = activation({R, hidden}), b = activation({R, hidden}),
                     product = activation({R, hidden}), wide = activation({R, 2 * hidden}),
                     narrow = output(HASS_F32, {R, hidden});
  w.operation(HASS_OP_LINEAR, {a, m, matrix(HASS_F16, hidden, hidden), HASS_NONE, HASS_NONE}, {0});
  w.operation(HASS_OP_LINEAR, {b, m, matrix(HASS_Q4, hidden, hidden), HASS_NONE, HASS_NONE}, {32});
  w.operation(HASS_OP_ROPE, {rotated, a, at, table}, {head, 1});
  w.operation(HASS_OP_SILU_MUL, {product, rotated, b});
  w.operation(HASS_OP_CONCAT_COLUMNS, {wide, product, y});
  w.operation(HASS_OP_SLICE_COLUMNS, {narrow, wide}, {hidden / 2});
  const std::int32_t sum = activation({R, hidden}), squared = activation({R, hidden});
  w.operation(HASS_OP_ADD, {sum, narrow, y});
  w.operation(HASS_OP_MUL, {squared, sum, sum});

  const std::int32_t chosen = activation({L, hidden}), logits = output(HASS_F32, {L, vocabulary}),
                     best = output(HASS_U32, {L}), ids = output(HASS_U32, {L, top}),
                     tops = output(HASS_F32, {L, top}), log_probs = output(HASS_F32, {L, vocabulary}),
                     again = output(HASS_F32, {L, hidden});
  w.operation(HASS_OP_GATHER_ROWS, {chosen, squared, selected});
  const std::int32_t head_weight = matrix(HASS_F32, vocabulary, hidden);
  w.operation(HASS_OP_LINEAR, {logits, chosen, head_weight, HASS_NONE, HASS_NONE}, {0});
  w.operation(HASS_OP_ARG_MAX, {best, logits});
  w.operation(HASS_OP_TOP_K, {ids, tops, logits}, {top});
  w.operation(HASS_OP_LOG_SOFTMAX, {log_probs, logits});
  w.operation(HASS_OP_EMBEDDING, {again, best, head_weight});
  const std::int32_t all_logits = activation({R, vocabulary}), sampled = output(HASS_U32, {R});
  w.operation(HASS_OP_LINEAR, {all_logits, y, head_weight, HASS_NONE, HASS_NONE}, {0});
  w.operation(HASS_OP_GUMBEL_ARG_MAX, {sampled, all_logits, temperature, at, seeds});
  const std::int32_t part = activation({R, groups * head});
  w.operation(HASS_OP_SLICE_COLUMNS, {part, y}, {0});
  w.operation(HASS_OP_CACHE_WRITE, {extra, part, slot});
  w.operation(HASS_OP_CACHE_COPY, {extra, from, to});

  // Training: a linear whose weight is a state, its gradients, an optimizer step.
  const auto parameter = [&](std::initializer_list<std::int32_t> shape) {
    std::size_t count = 1;
    for (const std::int32_t extent : shape) count *= static_cast<std::size_t>(extent);
    states_.push_back(floats(count, 0.2f));
    return w.tensor(HASS_STATE, HASS_F32, shape, states_.back());
  };
  const auto zeros = [&](std::initializer_list<std::int32_t> shape) {
    states_.push_back(plain(hidden * hidden * 4u));
    return w.tensor(HASS_STATE, HASS_F32, shape, states_.back());
  };
  const std::int32_t trained = parameter({hidden, hidden}), gradient = parameter({hidden, hidden}),
                     bias_sum = zeros({hidden}), norm_sum = zeros({hidden}), first = zeros({hidden, hidden}),
                     second = zeros({hidden, hidden});
  const std::int32_t lin = activation({R, hidden}), mm = activation({R, hidden}), dx = activation({R, hidden}),
                     dgate = activation({R, hidden}), dup = output(HASS_F32, {R, hidden}), back = activation({R, hidden}),
                     scattered = activation({R, hidden}), both = activation({dim(both_dim), hidden}),
                     tail = output(HASS_F32, {L, hidden}), padded = output(HASS_F32, {R, 2 * hidden});
  w.operation(HASS_OP_PLAIN_LINEAR, {lin, m, trained, vector(hidden), y});
  w.operation(HASS_OP_MATMUL, {mm, lin, trained});
  w.operation(HASS_OP_ADD_PRODUCT, {gradient, lin, mm});
  w.operation(HASS_OP_ADD_COLUMN_SUMS, {bias_sum, mm});
  w.operation(HASS_OP_RMS_NORM_GRADIENT, {dx, lin, norm, mm}, {eps});
  w.operation(HASS_OP_RMS_NORM_WEIGHT_GRADIENT, {norm_sum, lin, mm}, {eps});
  w.operation(HASS_OP_SILU_MUL_GRADIENT, {dgate, dup, lin, mm, dx});
  w.operation(HASS_OP_ROPE_GRADIENT, {back, dup, at, table}, {head, 0});
  w.operation(HASS_OP_SCATTER_ADD_ROWS, {scattered, chosen, selected});
  w.operation(HASS_OP_CONCAT_ROWS, {both, back, scattered});
  w.operation(HASS_OP_SLICE_ROWS, {tail, both}, {1});
  w.operation(HASS_OP_PAD_COLUMNS, {padded, scattered}, {3});
  const std::int32_t begins = input("begins", HASS_U32, {R}), ends = input("ends", HASS_U32, {R}),
                     near = input("near", HASS_U32, {dim(ancestors_dim)}),
                     row_weights = input("row_weights", HASS_F32, {R});
  const std::int32_t seen = activation({R, hidden}), shift = activation({R, heads}), dq = output(HASS_F32, {R, hidden}),
                     dkeys = output(HASS_F32, {R, groups * head}), dvalues = output(HASS_F32, {R, groups * head});
  w.operation(HASS_OP_ALIGNED_ATTENTION, {seen, shift, back, part, part, begins, ends, ancestor_offsets, near},
              {heads, groups, head, bits(0.25f)});
  w.operation(HASS_OP_ALIGNED_ATTENTION_GRADIENT,
              {dq, dkeys, dvalues, dx, seen, shift, back, part, part, begins, ends, ancestor_offsets, near},
              {heads, groups, head, bits(0.25f)});
  const std::int32_t probs = activation({R, vocabulary}), losses = output(HASS_F32, {R, 4}),
                     slope = output(HASS_F32, {R, hidden}), facts_of = output(HASS_F32, {hidden, 3});
  w.operation(HASS_OP_SOFTMAX, {probs, all_logits});
  w.operation(HASS_OP_DISTILLATION,
              {losses, slope, seen, y, probs, w.tensor(HASS_WEIGHT, HASS_F32, {vocabulary, hidden}, floats(vocabulary * hidden, 0.1f)),
               row_weights, row_weights},
              {top, bits(1.0f), bits(0.1f), bits(1.0f)});
  w.operation(HASS_OP_GRADIENT_FACTS, {facts_of, gradient}, {bits(0.5f)});
  w.operation(HASS_OP_ADAM_W, {trained, gradient, first, second, vector(3)},
              {bits(0.9f), bits(0.95f), bits(1e-8f), bits(0.5f)});

  words = w.words();
  bindings = w.bindings;
  hass_status status = backend.create_program(device, words.data(), words.size(), bindings.data(), bindings.size(),
                                              &program, &error);
  if (status != HASS_STATUS_OK) throw status;
  hass_program_facts facts;
  backend.program_facts(program, &facts);
  parameters_ = static_cast<unsigned char *>(std::aligned_alloc(HASS_ALIGNMENT, facts.parameter_bytes));
}

void EveryOperation::set(const char *input, const std::vector<std::uint32_t> &values) {
  for (const Input &known : inputs_) {
    if (std::strcmp(known.name, input) != 0 || values.empty()) continue;
    std::memcpy(parameters_ + backend.input_offset(program, known.tensor), values.data(), values.size() * 4);
  }
}

void EveryOperation::prepare(std::int32_t rows) {
  // Two sequences: the second is the rows' own and has three committed slots.
  dims_ = {rows, rows, 3, 5, rows + 1, rows * (rows + 1) / 2, 2 * rows};
  std::vector<std::uint32_t> tokens, at, slot, sequence, offsets{0}, ancestors, selected, temperature, seeds, from, to, begins, ends, near, row_weights;
  for (std::uint32_t row = 0; row < static_cast<std::uint32_t>(rows); row++) {
    tokens.push_back(row * 7 % vocabulary);
    at.push_back(3 + row);
    slot.push_back(10 + row * 2);
    sequence.push_back(1);
    for (std::uint32_t i = 0; i <= row; i++) {
      ancestors.push_back(10 + i * 2);
      near.push_back(i);
    }
    begins.push_back(row / 2);
    ends.push_back(row);
    row_weights.push_back(0x3f000000u);  // 0.5
    offsets.push_back(static_cast<std::uint32_t>(ancestors.size()));
    selected.push_back(static_cast<std::uint32_t>(rows) - 1 - row);
    // The words of 1.25 and of 0.
    temperature.insert(temperature.end(), {0, row % 2 ? 0x3ff40000u : 0u});
    seeds.insert(seeds.end(), {row, 77});
    from.push_back(10 + row * 2);
    to.push_back(row);
  }
  set("tokens", tokens);
  set("positions", at);
  set("slots", slot);
  set("row_sequence", sequence);
  set("sequence_offsets", std::vector<std::uint32_t>{0, 2, 5});
  set("context_slots", std::vector<std::uint32_t>{30, 31, 25, 20, 27});
  set("ancestor_offsets", offsets);
  set("ancestor_slots", ancestors);
  set("selected", selected);
  set("temperatures", temperature);
  set("seeds", seeds);
  set("from", from);
  set("to", to);
  set("begins", begins);
  set("ends", ends);
  set("near", near);
  set("row_weights", row_weights);
}

hass_status EveryOperation::run(std::int32_t rows, const std::int32_t *cancelled) {
  prepare(rows);
  return backend.run(program, dims_.data(), dims_.size(), parameters_, cancelled, &error);
}

hass_status EveryOperation::run_with(std::int32_t rows, const char *input, std::size_t index, std::uint32_t value) {
  prepare(rows);
  for (const Input &known : inputs_) {
    if (std::strcmp(known.name, input) != 0) continue;
    std::memcpy(parameters_ + backend.input_offset(program, known.tensor) + index * 4, &value, 4);
  }
  return backend.run(program, dims_.data(), dims_.size(), parameters_, nullptr, &error);
}

std::string EveryOperation::outputs() const {
  std::string bytes;
  hass_error ignored;
  for (const std::int32_t tensor : outputs_) {
    // Whatever the bound extents cover, found by asking for less and less: the ABI does not tell.
    for (std::size_t count = max_rows * vocabulary; count > 0; count--) {
      std::string part(count * 4, '\0');
      if (backend.read_output(program, tensor, 0, part.data(), part.size(), &ignored) != HASS_STATUS_OK) continue;
      bytes += part;
      break;
    }
  }
  for (hass_buffer *buffer : states_) {
    hass_buffer_facts facts;
    backend.buffer_facts(buffer, &facts);
    std::string part(facts.bytes, '\0');
    backend.read_buffer(buffer, 0, part.data(), part.size(), &ignored);
    bytes += part;
  }
  return bytes;
}

}  // namespace test
