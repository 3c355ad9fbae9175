#include "operation_stages.h"

#include <algorithm>

#include "../cpu/layout.h"
#include "failure.h"
#include "training_stages.h"

namespace hass {
namespace {

class Stages {
 public:
  Stages(const OperationView &view, StageVisitor visitor, void *context)
      : view_(view), visitor_(visitor), context_(context) {}

  void visit() {
    switch (view_.operation.opcode) {
      case HASS_OP_EMBEDDING:
        return embedding();
      case HASS_OP_RMS_NORM:
        return rms_norm();
      case HASS_OP_LINEAR:
        return linear(HASS_CPU_LINEAR, 1, 2, 3, 4, floats(0), columns(0));
      case HASS_OP_SILU_MUL:
        return binary(HASS_CPU_SILU_MUL);
      case HASS_OP_ROPE:
        return rope();
      case HASS_OP_CACHE_WRITE:
        return cache_write();
      case HASS_OP_TREE_ATTENTION:
        return tree_attention();
      case HASS_OP_GATHER_ROWS:
        return gather();
      case HASS_OP_CONCAT_COLUMNS:
        return concat();
      case HASS_OP_SLICE_COLUMNS:
        return slice();
      case HASS_OP_ADD:
        return binary(HASS_CPU_ADD);
      case HASS_OP_MUL:
        return binary(HASS_CPU_MUL);
      case HASS_OP_ARG_MAX:
      case HASS_OP_TOP_K:
      case HASS_OP_LOG_SOFTMAX:
        return row_wise();
      case HASS_OP_GUMBEL_ARG_MAX:
        return gumbel();
      case HASS_OP_CACHE_COPY:
        return cache_copy();
      case HASS_OP_ADD_RMS_NORM:
        return add_rms_norm();
      case HASS_OP_LINEAR_SILU_MUL:
        return linear(HASS_CPU_LINEAR_SILU_MUL, 1, 2, 3, HASS_NONE, floats(0), columns(0));
      case HASS_OP_QKV_ROPE_CACHE:
        return qkv_rope_cache();
      default:
        return visit_training_stages(view_, visitor_, context_);
    }
  }

 private:
  template <typename Arguments> void run(hass_cpu_stage stage, const Arguments &arguments) {
    visitor_(context_, stage, &arguments);
  }

  std::int32_t tensor(int operand) const {
    return operand == HASS_NONE ? HASS_NONE : view_.operation.operands[operand];
  }
  const Tensor &shape(int operand) const { return view_.program.tensors[static_cast<std::size_t>(tensor(operand))]; }
  std::int64_t rows(int operand) const { return view_.program.rows(tensor(operand), view_.dims); }
  std::int64_t columns(int operand) const { return view_.program.columns(tensor(operand)); }
  std::int32_t attribute(int index) const { return view_.operation.attributes[index]; }

  void *bytes(int operand) const {
    return tensor(operand) == HASS_NONE || !view_.addresses ? nullptr : view_.addresses[tensor(operand)];
  }
  float *floats(int operand) const { return static_cast<float *>(bytes(operand)); }
  std::uint32_t *indices(int operand) const { return static_cast<std::uint32_t *>(bytes(operand)); }

  void embedding() {
    hass_cpu_embedding_args a{};
    a.rows = rows(0);
    a.in = columns(2);
    a.out = rows(2);
    a.weight_dtype = shape(2).dtype;
    a.weight = bytes(2);
    a.tokens = indices(1);
    a.y = floats(0);
    a.y_stride = columns(0);
    run(HASS_CPU_EMBEDDING, a);
  }

  void rms_norm() {
    hass_cpu_rms_norm_args a{};
    a.rows = rows(0);
    a.size = rows(2);
    a.groups = columns(0) / a.size;
    a.eps = view_.operation.float_attribute(0);
    a.x = floats(1);
    a.x_stride = a.y_stride = columns(0);
    a.weight = floats(2);
    a.y = floats(0);
    run(HASS_CPU_RMS_NORM, a);
  }

  void add_rms_norm() {
    hass_cpu_rms_norm_args a{};
    a.rows = rows(0);
    a.groups = 1;
    a.size = columns(0);
    a.eps = view_.operation.float_attribute(0);
    a.x = floats(2);
    a.residual = floats(3);
    a.hidden = floats(1);
    a.x_stride = a.residual_stride = a.hidden_stride = a.y_stride = columns(0);
    a.weight = floats(4);
    a.y = floats(0);
    run(HASS_CPU_RMS_NORM, a);
  }

  void linear(hass_cpu_stage stage, int x, int weight, int bias, int residual, float *y, std::int64_t y_stride) {
    const std::int32_t block = activation_block(view_);
    if (block != 0 && !view_.is_quantized) {
      hass_cpu_quantize_args q{};
      q.rows = rows(x);
      q.in = columns(x);
      q.block = block;
      q.x = floats(x);
      q.x_stride = columns(x);
      q.quantized = view_.quantized;
      run(HASS_CPU_QUANTIZE, q);
    }
    hass_cpu_linear_args a{};
    a.rows = rows(x);
    a.in = columns(x);
    a.out = rows(weight);
    a.weight_dtype = shape(weight).dtype;
    a.activation_block = block;
    a.weight = bytes(weight);
    a.quantized = view_.quantized;
    a.x = floats(x);
    a.x_stride = columns(x);
    a.bias = floats(bias);
    a.residual = floats(residual);
    a.residual_stride = y_stride;
    a.y = y;
    a.y_stride = y_stride;
    run(stage, a);
  }

  void qkv_rope_cache() {
    auto *qkv = reinterpret_cast<float *>(view_.staging);
    const std::int64_t width = rows(4);
    linear(HASS_CPU_LINEAR, 3, 4, 5, HASS_NONE, qkv, width);
    hass_cpu_qkv_finish_args a{};
    a.rows = rows(0);
    a.heads = attribute(1);
    a.kv_heads = attribute(2);
    a.size = attribute(3);
    a.pairing = attribute(4);
    a.cache_dtype = shape(1).dtype;
    a.eps = view_.operation.float_attribute(5);
    a.qkv = qkv;
    a.qkv_stride = width;
    a.q_norm = floats(6);
    a.k_norm = floats(7);
    a.positions = indices(8);
    a.table = floats(9);
    a.slots = indices(10);
    a.q = floats(0);
    a.q_stride = columns(0);
    a.keys = bytes(1);
    a.values = bytes(2);
    a.cache_stride = columns(1);
    run(HASS_CPU_QKV_FINISH, a);
  }

  void rope() {
    hass_cpu_rope_args a{};
    a.rows = rows(0);
    a.size = attribute(0);
    a.groups = columns(0) / a.size;
    a.pairing = attribute(1);
    a.positions = indices(2);
    a.table = floats(3);
    a.x = floats(1);
    a.y = floats(0);
    a.x_stride = a.y_stride = columns(0);
    run(HASS_CPU_ROPE, a);
  }

  void cache_write() {
    hass_cpu_cache_write_args a{};
    a.rows = rows(1);
    a.columns = a.x_stride = a.cache_stride = columns(0);
    a.cache_dtype = shape(0).dtype;
    a.slots = indices(2);
    a.x = floats(1);
    a.cache = bytes(0);
    run(HASS_CPU_CACHE_WRITE, a);
  }

  void tree_attention() {
    hass_cpu_attention_args a{};
    a.rows = rows(0);
    a.heads = attribute(0);
    a.kv_heads = attribute(1);
    a.size = attribute(2);
    a.scale = view_.operation.float_attribute(3);
    a.cache_dtype = shape(2).dtype;
    a.max_context = view_.max_context;
    a.q = floats(1);
    a.q_stride = a.y_stride = columns(0);
    a.keys = bytes(2);
    a.values = bytes(3);
    a.cache_stride = columns(2);
    a.row_sequence = indices(4);
    a.sequence_offsets = indices(5);
    a.context_slots = indices(6);
    a.ancestor_offsets = indices(7);
    a.ancestor_slots = indices(8);
    a.y = floats(0);
    run(HASS_CPU_TREE_ATTENTION, a);
  }

  std::int64_t row_bytes(int operand) const { return columns(operand) * element_bytes(shape(operand).dtype); }

  void gather() {
    hass_cpu_move_rows_args a{};
    a.count = rows(0);
    a.row_bytes = a.x_stride_bytes = a.y_stride_bytes = row_bytes(0);
    a.rows = indices(2);
    a.x = bytes(1);
    a.y = bytes(0);
    run(HASS_CPU_GATHER_ROWS, a);
  }

  void cache_copy() {
    hass_cpu_move_rows_args a{};
    a.count = rows(1);
    a.row_bytes = a.x_stride_bytes = a.y_stride_bytes = row_bytes(0);
    a.rows = indices(1);
    a.x = bytes(0);
    a.y = view_.staging;
    run(HASS_CPU_GATHER_ROWS, a);
    a.rows = indices(2);
    a.x = view_.staging;
    a.y = bytes(0);
    run(HASS_CPU_SCATTER_ROWS, a);
  }

  void concat() {
    hass_cpu_concat_args a{};
    a.rows = rows(0);
    a.a_columns = a.a_stride = columns(1);
    a.b_columns = a.b_stride = columns(2);
    a.a = bytes(1);
    a.b = bytes(2);
    a.y = bytes(0);
    a.y_stride = columns(0);
    run(HASS_CPU_CONCAT_COLUMNS, a);
  }

  void slice() {
    hass_cpu_slice_args a{};
    a.rows = rows(0);
    a.columns = a.y_stride = columns(0);
    a.from = attribute(0);
    a.x = bytes(1);
    a.x_stride = columns(1);
    a.y = bytes(0);
    run(HASS_CPU_SLICE_COLUMNS, a);
  }

  void binary(hass_cpu_stage stage) {
    hass_cpu_binary_args a{};
    a.rows = rows(0);
    a.columns = a.a_stride = a.b_stride = a.y_stride = columns(0);
    a.a = floats(1);
    a.b = floats(2);
    a.y = floats(0);
    run(stage, a);
  }

  void row_wise() {
    const std::int32_t opcode = view_.operation.opcode;
    const int x = opcode == HASS_OP_TOP_K ? 2 : 1;
    hass_cpu_rows_args a{};
    a.rows = rows(x);
    a.columns = a.x_stride = a.y_stride = columns(x);
    a.x = floats(x);
    if (opcode == HASS_OP_ARG_MAX) {
      a.token = indices(0);
      return run(HASS_CPU_ARG_MAX, a);
    }
    if (opcode == HASS_OP_LOG_SOFTMAX) {
      a.y = floats(0);
      return run(HASS_CPU_LOG_SOFTMAX, a);
    }
    a.k = attribute(0);
    a.ids = indices(0);
    a.values = floats(1);
    run(HASS_CPU_TOP_K, a);
  }

  void gumbel() {
    hass_cpu_gumbel_args a{};
    a.rows = rows(1);
    a.columns = a.x_stride = columns(1);
    a.x = floats(1);
    a.temperatures = reinterpret_cast<const double *>(indices(2));
    a.positions = indices(3);
    a.seeds = indices(4);
    a.token = indices(0);
    run(HASS_CPU_GUMBEL_ARG_MAX, a);
  }

  const OperationView &view_;
  const StageVisitor visitor_;
  void *const context_;
};

// The operand that holds the weight of a linear, HASS_NONE for other operations.
std::int32_t linear_weight(const Operation &operation) {
  switch (operation.opcode) {
    case HASS_OP_LINEAR:
    case HASS_OP_LINEAR_SILU_MUL:
      return 2;
    case HASS_OP_QKV_ROPE_CACHE:
      return 4;
    default:
      return HASS_NONE;
  }
}

}  // namespace

std::int32_t quantized_operand(const Operation &operation) { return linear_weight(operation) - 1; }

std::int32_t activation_block(const OperationView &view) {
  const std::int32_t weight = linear_weight(view.operation);
  if (weight == HASS_NONE) return 0;
  const std::int32_t tensor = view.operation.operands[weight];
  return is_quantized(view.program.tensors[static_cast<std::size_t>(tensor)].dtype) ? view.operation.attributes[0] : 0;
}

std::uint64_t quantized_bytes(const OperationView &view) {
  const std::int32_t block = activation_block(view);
  if (block == 0) return 0;
  const std::int32_t x = view.operation.operands[quantized_operand(view.operation)];
  return static_cast<std::uint64_t>(view.program.rows(x, view.dims)) *
         hass_cpu_quantized_row_bytes(view.program.columns(x), block);
}

std::uint64_t staging_bytes(const OperationView &view) {
  const auto rows = [&](int i) {
    return static_cast<std::uint64_t>(view.program.rows(view.operation.operands[i], view.dims));
  };
  switch (view.operation.opcode) {
    case HASS_OP_QKV_ROPE_CACHE:
      return rows(0) * rows(4) * sizeof(float);
    case HASS_OP_CACHE_COPY: {
      const std::int32_t state = view.operation.operands[0];
      return rows(1) * static_cast<std::uint64_t>(view.program.columns(state)) *
             element_bytes(view.program.tensors[static_cast<std::size_t>(state)].dtype);
    }
    default:
      return training_staging_bytes(view);
  }
}

std::int64_t longest_context(const OperationView &view) {
  if (view.operation.opcode != HASS_OP_TREE_ATTENTION) return most_near_slots(view);
  const std::int32_t *operand = view.operation.operands;
  if (!view.addresses) return view.program.rows(operand[6], view.dims) + view.program.rows(operand[8], view.dims);
  const auto indices = [&](int i) { return reinterpret_cast<const std::uint32_t *>(view.addresses[operand[i]]); };
  const std::uint32_t *sequence = indices(4), *sequence_offsets = indices(5), *ancestor_offsets = indices(7);
  std::int64_t longest = 0;
  const std::int64_t rows = view.program.rows(operand[0], view.dims);
  for (std::int64_t row = 0; row < rows; row++) {
    const std::uint32_t at = sequence[row];
    longest = std::max<std::int64_t>(longest, std::int64_t(sequence_offsets[at + 1]) - sequence_offsets[at] +
                                                  ancestor_offsets[row + 1] - ancestor_offsets[row]);
  }
  return longest;
}

void visit_stages(const OperationView &view, StageVisitor visit, void *context) {
  Stages(view, visit, context).visit();
}

}  // namespace hass
