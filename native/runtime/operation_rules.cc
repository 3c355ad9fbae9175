// What each operation asks of its operands, as a table; see include/hass_program.h.
#include <climits>
#include <cmath>

#include "failure.h"
#include "program.h"

namespace hass {
namespace {

enum class Access : std::uint8_t {
  write,   // an activation or output, written here
  read,    // anything row-major
  index,   // U32 out of the parameters or the arena: nothing that a kernel could change behind a check
  matrix,  // a weight in the kernels' layout
  state,   // a cache
};

enum DtypeMask : std::uint16_t { f32 = 1, f16 = 2, bf16 = 4, i32 = 8, u32 = 16, q4 = 32, q8 = 64, q4k = 128, f8 = 256 };
constexpr std::uint16_t elements = f32 | f16 | bf16 | i32 | u32;
constexpr std::uint16_t weights = f32 | f16 | bf16 | q4 | q8 | q4k | f8;
constexpr std::uint16_t caches = f32 | f16 | bf16;

std::uint16_t mask_of(std::int32_t dtype) {
  switch (dtype) {
    case HASS_F32: return f32;
    case HASS_F16: return f16;
    case HASS_BF16: return bf16;
    case HASS_I32: return i32;
    case HASS_U32: return u32;
    case HASS_Q4: return q4;
    case HASS_Q8: return q8;
    case HASS_Q4K: return q4k;
    default: return f8;
  }
}

struct OperandRule {
  Access access;
  std::uint16_t dtypes;
  const char *shape;  // a letter for each extent; equal letters are equal extents
  bool is_optional = false;
};

// The extents that letters are bound to.
class Letters {
 public:
  bool bind(char letter, Extent extent) {
    Slot &slot = slots_[letter - 'A'];
    if (slot.is_bound) return slot.extent == extent;
    slot = {true, extent};
    return true;
  }
  Extent operator[](char letter) const { return slots_[letter - 'A'].extent; }

 private:
  struct Slot {
    bool is_bound;
    Extent extent;
  };
  Slot slots_[26] = {};
};

using Relation = bool (*)(const Letters &, const Operation &, const Program &);

struct Rule {
  std::int32_t opcode;
  const char *name;
  std::int32_t num_attributes;
  Vector<OperandRule> operands;
  Relation holds;  // what letters cannot say
};

bool is_block(std::int32_t block) { return block == 0 || block == 16 || block == 32; }
bool is_epsilon(float value) { return std::isfinite(value) && value >= 0; }
bool is_multiple(std::int32_t of, std::int32_t unit) { return unit > 0 && of % unit == 0; }
bool is_product(std::int32_t product, std::int32_t a, std::int32_t b) {
  return static_cast<std::int64_t>(a) * b == product;
}

bool always(const Letters &, const Operation &, const Program &) { return true; }

bool rms_norm(const Letters &at, const Operation &op, const Program &) {
  return is_multiple(at['W'], at['D']) && is_epsilon(op.float_attribute(0));
}
bool add_rms_norm(const Letters &at, const Operation &op, const Program &) {
  return at['E'] > 0 && is_epsilon(op.float_attribute(0));
}
bool linear(const Letters &, const Operation &op, const Program &) { return is_block(op.attributes[0]); }
bool linear_silu_mul(const Letters &at, const Operation &op, const Program &program) {
  return linear(at, op, program) && is_product(at['W'], 2, at['F']);
}
bool rope_of(std::int32_t width, std::int32_t head, std::int32_t pairing) {
  return is_multiple(width, head) && head % 2 == 0 && (pairing == 0 || pairing == 1);
}
bool rope(const Letters &at, const Operation &op, const Program &) {
  return op.attributes[0] == at['D'] && rope_of(at['W'], at['D'], op.attributes[1]);
}
bool heads_fit(std::int32_t heads, std::int32_t groups, std::int32_t head, std::int32_t queries, std::int32_t keys) {
  return groups > 0 && head > 0 && is_multiple(heads, groups) && is_product(queries, heads, head) &&
         is_product(keys, groups, head);
}
bool tree_attention(const Letters &at, const Operation &op, const Program &) {
  return heads_fit(op.attributes[0], op.attributes[1], op.attributes[2], at['Q'], at['K']) &&
         std::isfinite(op.float_attribute(3));
}
bool qkv(const Letters &at, const Operation &op, const Program &program) {
  const std::int32_t head = op.attributes[3];
  return linear(at, op, program) && heads_fit(op.attributes[1], op.attributes[2], head, at['Q'], at['K']) &&
         head == at['D'] && rope_of(at['Q'], head, op.attributes[4]) && is_epsilon(op.float_attribute(5)) &&
         static_cast<std::int64_t>(at['Q']) + 2 * static_cast<std::int64_t>(at['K']) == at['W'];
}
bool gather(const Letters &, const Operation &op, const Program &program) {
  return program.tensors[static_cast<std::size_t>(op.operands[0])].dtype ==
         program.tensors[static_cast<std::size_t>(op.operands[1])].dtype;
}
bool concat(const Letters &at, const Operation &, const Program &) {
  return static_cast<std::int64_t>(at['A']) + at['B'] == at['Y'];
}
bool slice(const Letters &at, const Operation &op, const Program &) {
  return op.attributes[0] >= 0 && static_cast<std::int64_t>(op.attributes[0]) + at['N'] <= at['X'];
}
bool arg_max(const Letters &at, const Operation &, const Program &) { return at['V'] > 0; }
bool top_k(const Letters &at, const Operation &op, const Program &) {
  return op.attributes[0] == at['K'] && at['K'] > 0 && at['K'] <= at['V'];
}
bool norm_gradient(const Letters &at, const Operation &op, const Program &) {
  return is_multiple(at['W'], at['D']) && is_epsilon(op.float_attribute(0));
}
bool slice_rows(const Letters &, const Operation &op, const Program &) {
  return op.attributes[0] == 0 || op.attributes[0] == 1;
}
bool pad(const Letters &at, const Operation &op, const Program &) {
  return op.attributes[0] >= 0 && static_cast<std::int64_t>(op.attributes[0]) + at['N'] <= at['E'];
}
bool aligned_attention(const Letters &at, const Operation &op, const Program &program) {
  return tree_attention(at, op, program) && at['H'] == op.attributes[0];
}
bool distillation(const Letters &at, const Operation &op, const Program &) {
  bool is_finite = true;
  for (int i = 1; i <= 3; i++) is_finite = is_finite && std::isfinite(op.float_attribute(i));
  return is_finite && op.attributes[0] > 0 && op.attributes[0] <= at['V'] && at['L'] == 4;
}
bool gradient_facts(const Letters &at, const Operation &op, const Program &) {
  return at['F'] == 3 && op.float_attribute(0) > 0;
}
bool adam_w(const Letters &at, const Operation &op, const Program &) {
  const auto is_decay = [&](int i) { return op.float_attribute(i) >= 0 && op.float_attribute(i) < 1; };
  return at['P'] == 3 && is_decay(0) && is_decay(1) && is_epsilon(op.float_attribute(2)) && op.float_attribute(3) > 0;
}

Vector<Rule> make_rules() {
  using A = Access;
  const OperandRule y_rn{A::write, f32, "RN"}, x_rn{A::read, f32, "RN"};
  return {
      {HASS_OP_EMBEDDING, "EMBEDDING", 0, {{A::write, f32, "RE"}, {A::index, u32, "R"}, {A::matrix, weights, "VE"}},
       always},
      {HASS_OP_RMS_NORM, "RMS_NORM", 1, {{A::write, f32, "RW"}, {A::read, f32, "RW"}, {A::read, f32, "D"}}, rms_norm},
      {HASS_OP_LINEAR, "LINEAR", 1,
       {{A::write, f32, "RO"}, {A::read, f32, "RE"}, {A::matrix, weights, "OE"}, {A::read, f32, "O", true},
        {A::read, f32, "RO", true}},
       linear},
      {HASS_OP_SILU_MUL, "SILU_MUL", 0, {y_rn, x_rn, x_rn}, always},
      {HASS_OP_ROPE, "ROPE", 2,
       {{A::write, f32, "RW"}, {A::read, f32, "RW"}, {A::index, u32, "R"}, {A::read, f32, "PD"}}, rope},
      {HASS_OP_CACHE_WRITE, "CACHE_WRITE", 0, {{A::state, caches, "SN"}, x_rn, {A::index, u32, "R"}}, always},
      {HASS_OP_TREE_ATTENTION, "TREE_ATTENTION", 4,
       {{A::write, f32, "RQ"}, {A::read, f32, "RQ"}, {A::state, caches, "SK"}, {A::state, caches, "SK"},
        {A::index, u32, "R"}, {A::index, u32, "B"}, {A::index, u32, "C"}, {A::index, u32, "Z"}, {A::index, u32, "A"}},
       tree_attention},
      {HASS_OP_GATHER_ROWS, "GATHER_ROWS", 0,
       {{A::write, elements, "LN"}, {A::read, elements, "RN"}, {A::index, u32, "L"}}, gather},
      {HASS_OP_CONCAT_COLUMNS, "CONCAT_COLUMNS", 0,
       {{A::write, f32, "RY"}, {A::read, f32, "RA"}, {A::read, f32, "RB"}}, concat},
      {HASS_OP_SLICE_COLUMNS, "SLICE_COLUMNS", 1, {{A::write, f32, "RN"}, {A::read, f32, "RX"}}, slice},
      {HASS_OP_ADD, "ADD", 0, {y_rn, x_rn, x_rn}, always},
      {HASS_OP_MUL, "MUL", 0, {y_rn, x_rn, x_rn}, always},
      {HASS_OP_ARG_MAX, "ARG_MAX", 0, {{A::write, u32, "R"}, {A::read, f32, "RV"}}, arg_max},
      {HASS_OP_TOP_K, "TOP_K", 1, {{A::write, u32, "RK"}, {A::write, f32, "RK"}, {A::read, f32, "RV"}}, top_k},
      {HASS_OP_LOG_SOFTMAX, "LOG_SOFTMAX", 0, {y_rn, x_rn}, always},
      {HASS_OP_GUMBEL_ARG_MAX, "GUMBEL_ARG_MAX", 0,
       {{A::write, u32, "R"}, {A::read, f32, "RV"}, {A::read, u32, "RT"}, {A::read, u32, "R"}, {A::read, u32, "RT"}},
       [](const Letters &at, const Operation &, const Program &) { return at['V'] > 0 && at['T'] == 2; }},
      {HASS_OP_CACHE_COPY, "CACHE_COPY", 0,
       {{A::state, caches, "SN"}, {A::index, u32, "L"}, {A::index, u32, "L"}}, always},
      {HASS_OP_ADD_RMS_NORM, "ADD_RMS_NORM", 1,
       {{A::write, f32, "RE"}, {A::write, f32, "RE"}, {A::read, f32, "RE"}, {A::read, f32, "RE"},
        {A::read, f32, "E"}},
       add_rms_norm},
      {HASS_OP_LINEAR_SILU_MUL, "LINEAR_SILU_MUL", 1,
       {{A::write, f32, "RF"}, {A::read, f32, "RE"}, {A::matrix, weights, "WE"}, {A::read, f32, "W", true}},
       linear_silu_mul},
      {HASS_OP_QKV_ROPE_CACHE, "QKV_ROPE_CACHE", 6,
       {{A::write, f32, "RQ"}, {A::state, caches, "SK"}, {A::state, caches, "SK"}, {A::read, f32, "RE"},
        {A::matrix, weights, "WE"}, {A::read, f32, "W", true}, {A::read, f32, "D", true}, {A::read, f32, "D", true},
        {A::index, u32, "R"}, {A::read, f32, "PD"}, {A::index, u32, "R"}},
       qkv},
      {HASS_OP_PLAIN_LINEAR, "PLAIN_LINEAR", 0,
       {{A::write, f32, "RO"}, {A::read, f32, "RE"}, {A::read, f32, "OE"}, {A::read, f32, "O", true},
        {A::read, f32, "RO", true}},
       always},
      {HASS_OP_MATMUL, "MATMUL", 0, {{A::write, f32, "RE"}, {A::read, f32, "RO"}, {A::read, f32, "OE"}}, always},
      {HASS_OP_ADD_PRODUCT, "ADD_PRODUCT", 0,
       {{A::state, f32, "OE"}, {A::read, f32, "RO"}, {A::read, f32, "RE"}}, always},
      {HASS_OP_ADD_COLUMN_SUMS, "ADD_COLUMN_SUMS", 0, {{A::state, f32, "O"}, {A::read, f32, "RO"}}, always},
      {HASS_OP_RMS_NORM_GRADIENT, "RMS_NORM_GRADIENT", 1,
       {{A::write, f32, "RW"}, {A::read, f32, "RW"}, {A::read, f32, "D"}, {A::read, f32, "RW"}}, norm_gradient},
      {HASS_OP_RMS_NORM_WEIGHT_GRADIENT, "RMS_NORM_WEIGHT_GRADIENT", 1,
       {{A::state, f32, "D"}, {A::read, f32, "RW"}, {A::read, f32, "RW"}}, norm_gradient},
      {HASS_OP_SILU_MUL_GRADIENT, "SILU_MUL_GRADIENT", 0,
       {{A::write, f32, "RN"}, {A::write, f32, "RN"}, x_rn, x_rn, x_rn}, always},
      {HASS_OP_ROPE_GRADIENT, "ROPE_GRADIENT", 2,
       {{A::write, f32, "RW"}, {A::read, f32, "RW"}, {A::index, u32, "R"}, {A::read, f32, "PD"}}, rope},
      {HASS_OP_SCATTER_ADD_ROWS, "SCATTER_ADD_ROWS", 0,
       {{A::write, f32, "RE"}, {A::read, f32, "LE"}, {A::index, u32, "L"}}, always},
      {HASS_OP_CONCAT_ROWS, "CONCAT_ROWS", 0,
       {{A::write, f32, "SE"}, {A::read, f32, "AE"}, {A::read, f32, "BE"}}, always},
      {HASS_OP_SLICE_ROWS, "SLICE_ROWS", 1, {{A::write, f32, "LE"}, {A::read, f32, "RE"}}, slice_rows},
      {HASS_OP_PAD_COLUMNS, "PAD_COLUMNS", 1, {{A::write, f32, "RE"}, {A::read, f32, "RN"}}, pad},
      {HASS_OP_ALIGNED_ATTENTION, "ALIGNED_ATTENTION", 4,
       {{A::write, f32, "RQ"}, {A::write, f32, "RH"}, {A::read, f32, "RQ"}, {A::read, f32, "SK"},
        {A::read, f32, "SK"}, {A::index, u32, "R"}, {A::index, u32, "R"}, {A::index, u32, "Z"}, {A::index, u32, "C"}},
       aligned_attention},
      {HASS_OP_ALIGNED_ATTENTION_GRADIENT, "ALIGNED_ATTENTION_GRADIENT", 4,
       {{A::write, f32, "RQ"}, {A::write, f32, "SK"}, {A::write, f32, "SK"}, {A::read, f32, "RQ"},
        {A::read, f32, "RQ"}, {A::read, f32, "RH"}, {A::read, f32, "RQ"}, {A::read, f32, "SK"}, {A::read, f32, "SK"},
        {A::index, u32, "R"}, {A::index, u32, "R"}, {A::index, u32, "Z"}, {A::index, u32, "C"}},
       aligned_attention},
      {HASS_OP_DISTILLATION, "DISTILLATION", 4,
       {{A::write, f32, "RL"}, {A::write, f32, "RE"}, {A::read, f32, "RE"}, {A::read, f32, "RE"},
        {A::read, f32, "RV"}, {A::read, f32, "VE"}, {A::read, f32, "R"}, {A::read, f32, "R"}},
       distillation},
      {HASS_OP_SOFTMAX, "SOFTMAX", 0, {y_rn, x_rn}, always},
      {HASS_OP_GRADIENT_FACTS, "GRADIENT_FACTS", 1, {{A::write, f32, "SF"}, {A::read, f32, "SN"}}, gradient_facts},
      {HASS_OP_ADAM_W, "ADAM_W", 4,
       {{A::state, f32, "SN"}, {A::state, f32, "SN"}, {A::state, f32, "SN"}, {A::state, f32, "SN"},
        {A::read, f32, "P"}},
       adam_w},
  };
}

class Checker {
 public:
  Checker(Program &program, std::int32_t op) : program_(program), op_(op), operation_(program.operations[op]) {}

  void check(const Vector<Rule> &rules) {
    const Rule *rule = nullptr;
    for (const Rule &candidate : rules) {
      if (candidate.opcode == operation_.opcode) rule = &candidate;
    }
    if (!rule) refuse(HASS_NONE, HASS_NONE, "has an unknown opcode");
    name_ = rule->name;
    if (operation_.num_operands != static_cast<std::int32_t>(rule->operands.size())) {
      refuse(HASS_NONE, HASS_NONE, "has a wrong number of operands");
    }
    if (operation_.num_attributes != rule->num_attributes) {
      refuse(HASS_NONE, HASS_NONE, "has a wrong number of attributes");
    }
    Letters letters;
    // What is read must have been written before: outputs, although listed first, are entered last.
    for (std::int32_t i = operation_.num_operands - 1; i >= 0; i--) {
      check_operand(i, rule->operands[static_cast<std::size_t>(i)], letters);
    }
    if (!rule->holds(letters, operation_, program_)) {
      refuse(HASS_NONE, HASS_NONE, "has attributes or extents that do not fit each other");
    }
  }

 private:
  void check_operand(std::int32_t position, const OperandRule &rule, Letters &letters) {
    const std::int32_t index = operation_.operands[position];
    if (index == HASS_NONE) {
      if (!rule.is_optional) refuse(position, index, "lacks an operand");
      return;
    }
    Tensor &tensor = program_.tensors[static_cast<std::size_t>(index)];
    if (!(mask_of(tensor.dtype) & rule.dtypes)) refuse(position, index, "has an operand of a wrong dtype");
    std::int32_t rank = 0;
    for (const char *letter = rule.shape; *letter; letter++, rank++) {
      if (rank >= tensor.rank || !letters.bind(*letter, tensor.extent[rank])) {
        refuse(position, index, "has operands whose shapes do not fit");
      }
    }
    if (rank != tensor.rank) refuse(position, index, "has an operand of a wrong rank");
    enter(position, index, tensor, rule.access);
  }

  void enter(std::int32_t position, std::int32_t index, Tensor &tensor, Access access) {
    const bool is_in_arena = tensor.kind == HASS_ACTIVATION || tensor.kind == HASS_OUTPUT;
    if (access == Access::write) {
      if (!is_in_arena) refuse(position, index, "writes what is neither activation nor output");
      if (tensor.written_by >= 0) refuse(position, index, "writes a tensor for the second time");
      tensor.written_by = op_;
      return;
    }
    // An operand that this operation writes has not been entered yet, or is refused as written twice.
    if (is_in_arena && tensor.written_by < 0) refuse(position, index, "reads a tensor before it is written");
    tensor.last_read = op_;
    if (access == Access::state && tensor.kind != HASS_STATE) refuse(position, index, "needs state as its cache");
    if (access == Access::matrix && tensor.kind != HASS_WEIGHT) refuse(position, index, "needs a weight");
    if (access == Access::index && !is_in_arena && tensor.kind != HASS_INPUT) {
      refuse(position, index, "takes indices from inputs and activations only");
    }
    if (tensor.kind == HASS_WEIGHT || tensor.kind == HASS_STATE) {
      const Binding binding = access == Access::matrix ? Binding::matrix : Binding::plain;
      if (tensor.binding != Binding::none && tensor.binding != binding) {
        refuse(position, index, "uses a weight both as a matrix and row by row");
      }
      tensor.binding = binding;
    }
  }

  [[noreturn]] void refuse(std::int32_t position, std::int32_t tensor, const char *what) const {
    hass_error error = make_error(HASS_STATUS_INVALID_PROGRAM, "Operation %d (%s, opcode %d) %s.", op_, name_,
                                  operation_.opcode, what);
    error.op = op_;
    if (position >= 0) error.operand = position;
    if (tensor >= 0) error.tensor = tensor;
    throw Failure{error};
  }

  Program &program_;
  const std::int32_t op_;
  const Operation &operation_;
  const char *name_ = "?";
};

}  // namespace

void check_operations(Program &program) {
  const Vector<Rule> rules = make_rules();
  for (std::size_t op = 0; op < program.operations.size(); op++) {
    Checker(program, static_cast<std::int32_t>(op)).check(rules);
  }
  for (std::size_t i = 0; i < program.tensors.size(); i++) {
    const Tensor &tensor = program.tensors[i];
    if (tensor.kind == HASS_OUTPUT && tensor.written_by < 0) {
      hass_error error = make_error(HASS_STATUS_INVALID_PROGRAM, "Output tensor %zu is written by no operation.", i);
      error.tensor = static_cast<std::int64_t>(i);
      throw Failure{error};
    }
  }
}

}  // namespace hass
