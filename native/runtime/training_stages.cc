#include "training_stages.h"

#include <algorithm>

#include "failure.h"

namespace hass {
namespace {

constexpr std::int64_t panel_columns = 16;

std::int64_t panel_floats(std::int64_t inner, std::int64_t columns) {
  return (columns + panel_columns - 1) / panel_columns * panel_columns * inner;
}

// Where q, keys, begins and near are among the operands of the two attentions.
struct AlignedPlaces {
  int q, begins;
};

AlignedPlaces aligned_places(const Operation &operation) {
  return operation.opcode == HASS_OP_ALIGNED_ATTENTION ? AlignedPlaces{2, 5} : AlignedPlaces{6, 9};
}

class TrainingStages {
 public:
  TrainingStages(const OperationView &view, StageVisitor visitor, void *context)
      : view_(view), visitor_(visitor), context_(context) {}

  void visit() {
    switch (view_.operation.opcode) {
      case HASS_OP_PLAIN_LINEAR:
        return plain_linear();
      case HASS_OP_MATMUL:
        return matmul();
      case HASS_OP_ADD_PRODUCT:
        return add_product();
      case HASS_OP_ADD_COLUMN_SUMS:
        return add_column_sums();
      case HASS_OP_RMS_NORM_GRADIENT:
        return norm_gradient();
      case HASS_OP_RMS_NORM_WEIGHT_GRADIENT:
        return norm_weight_gradient();
      case HASS_OP_SILU_MUL_GRADIENT:
        return silu_gradient();
      case HASS_OP_ROPE_GRADIENT:
        return rope_gradient();
      case HASS_OP_SCATTER_ADD_ROWS:
        return scatter();
      case HASS_OP_CONCAT_ROWS:
        copy(0, 1, 0, 0);
        return copy(0, 2, rows(1), 0);
      case HASS_OP_SLICE_ROWS:
        return copy(0, 1, 0, attribute(0) ? rows(1) - rows(0) : 0);
      case HASS_OP_PAD_COLUMNS:
        return pad();
      case HASS_OP_ALIGNED_ATTENTION:
        return aligned_attention();
      case HASS_OP_ALIGNED_ATTENTION_GRADIENT:
        return aligned_attention_gradient();
      case HASS_OP_DISTILLATION:
        return distillation();
      case HASS_OP_GRADIENT_FACTS:
        return gradient_facts();
      case HASS_OP_ADAM_W:
        return adam_w();
      case HASS_OP_SOFTMAX:
        return softmax();
      default:
        fail(HASS_STATUS_INTERNAL, "No stages are known for opcode %d.", view_.operation.opcode);
    }
  }

 private:
  template <typename Arguments> void run(hass_cpu_stage stage, const Arguments &arguments) {
    visitor_(context_, stage, &arguments);
  }

  std::int32_t tensor(int operand) const { return view_.operation.operands[operand]; }
  std::int64_t rows(int operand) const { return view_.program.rows(tensor(operand), view_.dims); }
  std::int64_t columns(int operand) const { return view_.program.columns(tensor(operand)); }
  std::int32_t attribute(int index) const { return view_.operation.attributes[index]; }
  float attribute_float(int index) const { return view_.operation.float_attribute(index); }
  void *bytes(int operand) const {
    return tensor(operand) == HASS_NONE || !view_.addresses ? nullptr : view_.addresses[tensor(operand)];
  }
  float *floats(int operand) const { return static_cast<float *>(bytes(operand)); }
  std::uint32_t *indices(int operand) const { return static_cast<std::uint32_t *>(bytes(operand)); }
  float *staging() const { return reinterpret_cast<float *>(view_.staging); }

  // Of columns [first, first + size) of row-major rows, or of their transpose; returns what lies behind the panels.
  float *head_panels(int rows_of, std::int64_t first, std::int64_t size, bool is_transposed, float *target) {
    hass_cpu_panels_args a{};
    a.inner = is_transposed ? size : rows(rows_of);
    a.columns = is_transposed ? rows(rows_of) : size;
    a.inner_stride = is_transposed ? 1 : columns(rows_of);
    a.column_stride = is_transposed ? columns(rows_of) : 1;
    a.b = view_.addresses ? floats(rows_of) + first : nullptr;
    a.panels = target;
    run(HASS_CPU_PANELS, a);
    return target ? target + panel_floats(a.inner, a.columns) : nullptr;
  }

  // The same of each head in turn.
  float *heads_panels(int rows_of, std::int64_t size, bool is_transposed, float *target) {
    for (std::int64_t first = 0; first < columns(rows_of); first += size) {
      target = head_panels(rows_of, first, size, is_transposed, target);
    }
    return target;
  }

  // Of a row-major b [inner, columns], or of the transpose of a row-major [columns, inner].
  void panels(int b, bool is_transposed, float *target) {
    hass_cpu_panels_args a{};
    a.inner = is_transposed ? columns(b) : rows(b);
    a.columns = is_transposed ? rows(b) : columns(b);
    a.inner_stride = is_transposed ? 1 : columns(b);
    a.column_stride = is_transposed ? columns(b) : 1;
    a.b = floats(b);
    a.panels = target;
    run(HASS_CPU_PANELS, a);
  }

  hass_cpu_product_args product(int c) {
    hass_cpu_product_args a{};
    a.rows = rows(c);
    a.columns = a.c_stride = columns(c);
    a.panels = staging();
    a.c = floats(c);
    return a;
  }

  void plain_linear() {
    panels(2, true, staging());
    hass_cpu_product_args a = product(0);
    a.inner = a.a_row_stride = columns(1);
    a.a_inner_stride = 1;
    a.a = floats(1);
    a.bias = floats(3);
    a.residual = floats(4);
    run(HASS_CPU_PRODUCT, a);
  }

  void matmul() {
    panels(2, false, staging());
    hass_cpu_product_args a = product(0);
    a.inner = a.a_row_stride = columns(1);
    a.a_inner_stride = 1;
    a.a = floats(1);
    run(HASS_CPU_PRODUCT, a);
  }

  void add_product() {
    panels(2, false, staging());
    hass_cpu_product_args a = product(0);
    a.inner = rows(1);
    a.a_row_stride = 1;
    a.a_inner_stride = columns(1);
    a.a = floats(1);
    a.is_added = 1;
    run(HASS_CPU_PRODUCT, a);
  }

  void add_column_sums() {
    hass_cpu_column_sums_args a{};
    a.rows = rows(1);
    a.columns = columns(1);
    a.groups = 1;
    a.x = floats(1);
    a.sum = floats(0);
    run(HASS_CPU_ADD_COLUMN_SUMS, a);
  }

  void norm_weight_gradient() {
    hass_cpu_column_sums_args a{};
    a.rows = rows(1);
    a.columns = rows(0);
    a.groups = columns(1) / a.columns;
    a.eps = attribute_float(0);
    a.x = floats(1);
    a.dy = floats(2);
    a.sum = floats(0);
    run(HASS_CPU_RMS_NORM_WEIGHT_GRADIENT, a);
  }

  void norm_gradient() {
    hass_cpu_norm_gradient_args a{};
    a.rows = rows(0);
    a.size = rows(2);
    a.groups = columns(0) / a.size;
    a.eps = attribute_float(0);
    a.x = floats(1);
    a.weight = floats(2);
    a.dy = floats(3);
    a.dx = floats(0);
    run(HASS_CPU_RMS_NORM_GRADIENT, a);
  }

  void silu_gradient() {
    hass_cpu_silu_gradient_args a{};
    a.rows = rows(0);
    a.columns = columns(0);
    a.dgate = floats(0);
    a.dup = floats(1);
    a.gate = floats(2);
    a.up = floats(3);
    a.dy = floats(4);
    run(HASS_CPU_SILU_MUL_GRADIENT, a);
  }

  void rope_gradient() {
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
    run(HASS_CPU_ROPE_GRADIENT, a);
  }

  void scatter() {
    hass_cpu_scatter_args a{};
    a.rows = rows(0);
    a.columns = columns(0);
    a.count = rows(1);
    a.indices = indices(2);
    a.x = floats(1);
    a.y = floats(0);
    run(HASS_CPU_SCATTER_ADD_ROWS, a);
  }

  // All of the smaller one: from row y_row of y, row x_row of x on.
  void copy(int y, int x, std::int64_t y_row, std::int64_t x_row) {
    hass_cpu_copy_args a{};
    a.rows = std::min(rows(y), rows(x));
    a.columns = columns(y);
    if (view_.addresses) {
      a.x = floats(x) + x_row * a.columns;
      a.y = floats(y) + y_row * a.columns;
    }
    run(HASS_CPU_COPY_ROWS, a);
  }

  void pad() {
    hass_cpu_pad_args a{};
    a.rows = rows(0);
    a.columns = columns(1);
    a.y_columns = columns(0);
    a.from = attribute(0);
    a.x = floats(1);
    a.y = floats(0);
    run(HASS_CPU_PAD_COLUMNS, a);
  }

  hass_cpu_aligned_args aligned() {
    const auto [q, begins] = aligned_places(view_.operation);
    hass_cpu_aligned_args a{};
    a.rows = rows(q);
    a.slots = rows(q + 1);
    a.heads = attribute(0);
    a.kv_heads = attribute(1);
    a.size = attribute(2);
    a.scale = attribute_float(3);
    a.max_near = view_.max_context;
    a.q = floats(q);
    a.keys = floats(q + 1);
    a.values = floats(q + 2);
    a.begins = indices(begins);
    a.ends = indices(begins + 1);
    a.near_offsets = indices(begins + 2);
    a.near = indices(begins + 3);
    return a;
  }

  void aligned_attention() {
    hass_cpu_aligned_args a = aligned();
    a.y = floats(0);
    a.shift = floats(1);
    a.keys_transposed = staging();
    a.values_panels = heads_panels(3, a.size, true, staging());
    heads_panels(4, a.size, false, const_cast<float *>(a.values_panels));
    run(HASS_CPU_ALIGNED_ATTENTION, a);
  }

  void aligned_attention_gradient() {
    hass_cpu_aligned_args a = aligned();
    a.dq = floats(0);
    a.dkeys = floats(1);
    a.dvalues = floats(2);
    a.dy = floats(3);
    a.y = floats(4);
    a.shift = floats(5);
    float *next = staging();
    const auto take = [&](int rows_of, bool is_transposed) {
      const float *panels = next;
      next = heads_panels(rows_of, a.size, is_transposed, next);
      return panels;
    };
    a.keys_transposed = take(7, true);
    a.values_transposed = take(8, true);
    a.keys_panels = take(7, false);
    a.q_panels = take(6, false);
    a.dy_panels = take(3, false);
    a.pulls = next;
    run(HASS_CPU_ALIGNED_QUERIES, a);
    run(HASS_CPU_ALIGNED_KEYS, a);
  }

  void distillation() {
    float *transposed = staging() ? staging() + panel_floats(columns(5), rows(5)) : nullptr;
    panels(5, true, staging());
    panels(5, false, transposed);
    hass_cpu_distillation_args a{};
    a.rows = rows(2);
    a.columns = columns(2);
    a.vocabulary = rows(5);
    a.k = attribute(0);
    a.feature_weight = attribute_float(1);
    a.token_weight = attribute_float(2);
    a.top_weight = attribute_float(3);
    a.prediction = floats(2);
    a.target = floats(3);
    a.target_probs = floats(4);
    a.panels = staging();
    a.transposed = transposed;
    a.feature_weights = floats(6);
    a.token_weights = floats(7);
    a.losses = floats(0);
    a.gradient = floats(1);
    run(HASS_CPU_DISTILLATION, a);
  }

  void softmax() {
    hass_cpu_softmax_args a{};
    a.rows = rows(0);
    a.columns = columns(0);
    a.x = floats(1);
    a.y = floats(0);
    run(HASS_CPU_SOFTMAX, a);
  }

  void gradient_facts() {
    hass_cpu_gradient_facts_args a{};
    a.rows = rows(1);
    a.columns = columns(1);
    a.clip = attribute_float(0);
    a.gradient = floats(1);
    a.facts = floats(0);
    run(HASS_CPU_GRADIENT_FACTS, a);
  }

  void adam_w() {
    hass_cpu_adam_args a{};
    a.rows = rows(0);
    a.columns = columns(0);
    a.beta1 = attribute_float(0);
    a.beta2 = attribute_float(1);
    a.eps = attribute_float(2);
    a.clip = attribute_float(3);
    a.parameter = floats(0);
    a.gradient = floats(1);
    a.first = floats(2);
    a.second = floats(3);
    a.rates = floats(4);
    run(HASS_CPU_ADAM_W, a);
  }

  const OperationView &view_;
  const StageVisitor visitor_;
  void *const context_;
};

}  // namespace

void visit_training_stages(const OperationView &view, StageVisitor visit, void *context) {
  TrainingStages(view, visit, context).visit();
}

std::uint64_t training_staging_bytes(const OperationView &view) {
  const std::int32_t *operand = view.operation.operands;
  const auto rows = [&](int i) { return view.program.rows(operand[i], view.dims); };
  const auto columns = [&](int i) { return view.program.columns(operand[i]); };
  std::int64_t floats = 0;
  switch (view.operation.opcode) {
    case HASS_OP_PLAIN_LINEAR:
      floats = panel_floats(columns(2), rows(2));
      break;
    case HASS_OP_MATMUL:
    case HASS_OP_ADD_PRODUCT:
      floats = panel_floats(rows(2), columns(2));
      break;
    case HASS_OP_ALIGNED_ATTENTION: {
      const std::int64_t size = view.operation.attributes[2], kv_heads = view.operation.attributes[1];
      floats = kv_heads * (panel_floats(size, rows(3)) + panel_floats(rows(3), size));
      break;
    }
    case HASS_OP_ALIGNED_ATTENTION_GRADIENT: {
      const std::int64_t size = view.operation.attributes[2], kv_heads = view.operation.attributes[1];
      floats = kv_heads * (2 * panel_floats(size, rows(7)) + panel_floats(rows(7), size)) +
               view.operation.attributes[0] * 2 * panel_floats(rows(6), size) + rows(5) * columns(5);
      break;
    }
    case HASS_OP_DISTILLATION:
      floats = panel_floats(columns(5), rows(5)) + panel_floats(rows(5), columns(5));
      break;
    default:
      break;
  }
  return static_cast<std::uint64_t>(floats) * sizeof(float);
}

std::int64_t most_near_slots(const OperationView &view) {
  const std::int32_t opcode = view.operation.opcode;
  if (opcode != HASS_OP_ALIGNED_ATTENTION && opcode != HASS_OP_ALIGNED_ATTENTION_GRADIENT) return 0;
  const std::int32_t *operand = view.operation.operands;
  const auto [q, at] = aligned_places(view.operation);
  if (!view.addresses) return view.program.rows(operand[at + 3], view.dims);
  const auto *offsets = reinterpret_cast<const std::uint32_t *>(view.addresses[operand[at + 2]]);
  const std::int64_t rows = view.program.rows(operand[q], view.dims);
  std::int64_t most = 0;
  for (std::int64_t row = 0; row < rows; row++) {
    most = std::max<std::int64_t>(most, std::int64_t(offsets[row + 1]) - offsets[row]);
  }
  return most;
}

}  // namespace hass
