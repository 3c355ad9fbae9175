#include "index_checks.h"

#include <algorithm>
#include <cstring>

#include "failure.h"

namespace hass {
namespace {

using Kind = IndexCheck::Kind;

class Collector {
 public:
  explicit Collector(const Program &program) : program_(program) {}

  void collect(const Operation &operation, std::int32_t op) {
    const std::int32_t *operand = operation.operands;
    const auto rows_of = [&](int i) { return program_.tensors[static_cast<std::size_t>(operand[i])].extent[0]; };
    switch (operation.opcode) {
      case HASS_OP_EMBEDDING:
        return add(Kind::below, op, rows_of(2), operand[1]);
      case HASS_OP_ROPE:
        return add(Kind::below, op, rows_of(3), operand[2]);
      case HASS_OP_CACHE_WRITE:
        return add(Kind::distinct, op, rows_of(0), operand[2]);
      case HASS_OP_TREE_ATTENTION:
        return add(Kind::context, op, rows_of(2), operand[4], operand[5], operand[6], operand[7], operand[8]);
      case HASS_OP_ROPE_GRADIENT:
        return add(Kind::below, op, rows_of(3), operand[2]);
      case HASS_OP_SCATTER_ADD_ROWS:
        return add(Kind::below, op, rows_of(0), operand[2]);
      case HASS_OP_ALIGNED_ATTENTION:
        return add(Kind::aligned, op, rows_of(3), operand[5], operand[6], operand[7], operand[8]);
      case HASS_OP_ALIGNED_ATTENTION_GRADIENT:
        return add(Kind::aligned, op, rows_of(7), operand[9], operand[10], operand[11], operand[12]);
      case HASS_OP_GATHER_ROWS:
        return add(Kind::below, op, rows_of(1), operand[2]);
      case HASS_OP_CACHE_COPY:
        add(Kind::below, op, rows_of(0), operand[1]);
        return add(Kind::distinct, op, rows_of(0), operand[2]);
      case HASS_OP_QKV_ROPE_CACHE:
        add(Kind::below, op, rows_of(9), operand[8]);
        return add(Kind::distinct, op, rows_of(1), operand[10]);
      default:
        return;
    }
  }

  Vector<IndexCheck> take() { return std::move(checks_); }

 private:
  void add(Kind kind, std::int32_t op, Extent limit, std::int32_t a, std::int32_t b = HASS_NONE,
           std::int32_t c = HASS_NONE, std::int32_t d = HASS_NONE, std::int32_t e = HASS_NONE) {
    IndexCheck check{kind, {a, b, c, d, e}, limit, op, true};
    for (const std::int32_t tensor : check.tensors) {
      if (tensor != HASS_NONE && program_.tensors[static_cast<std::size_t>(tensor)].kind != HASS_INPUT) {
        check.is_early = false;
      }
    }
    // What a program writes it writes once, so a check that has passed holds for every later operation.
    for (const IndexCheck &known : checks_) {
      const bool is_same = std::memcmp(known.tensors, check.tensors, sizeof check.tensors) == 0;
      if (known.kind == kind && known.limit == limit && is_same) return;
    }
    checks_.push_back(check);
  }

  const Program &program_;
  Vector<IndexCheck> checks_;
};

[[noreturn]] void refuse(const IndexCheck &check, std::int32_t tensor, std::int64_t index, std::int64_t value,
                         std::int64_t limit, const char *expected) {
  hass_error error =
      make_error(HASS_STATUS_INVALID_INPUT, "Operation %d: element %lld of tensor %d is %lld, expected %s (%lld).",
                 check.op, static_cast<long long>(index), tensor, static_cast<long long>(value), expected,
                 static_cast<long long>(limit));
  error.op = check.op;
  error.tensor = tensor;
  error.index = index;
  error.value = value;
  error.limit = limit;
  throw Failure{error};
}

class Values {
 public:
  Values(const IndexCheck &check, int which, const Program &program, const std::int32_t *dims, IndexValues values,
         const void *run)
      : check_(check), tensor_(check.tensors[which]), count_(program.rows(tensor_, dims)),
        values_(values(run, tensor_)) {}

  std::int64_t count() const { return count_; }
  std::uint32_t operator[](std::int64_t i) const { return values_[i]; }

  void are_below(std::int64_t limit) const {
    for (std::int64_t i = 0; i < count_; i++) {
      if (values_[i] >= limit) refuse(check_, tensor_, i, values_[i], limit, "an index below its limit");
    }
  }

  void are_not_above(const Values &ends) const {
    for (std::int64_t i = 0; i < count_; i++) {
      if (values_[i] > ends[i]) refuse(check_, tensor_, i, values_[i], ends[i], "a begin not behind its end");
    }
  }

  void are_offsets_into(std::int64_t size) const {
    for (std::int64_t i = 0; i < count_; i++) {
      if (i > 0 && values_[i] < values_[i - 1]) {
        refuse(check_, tensor_, i, values_[i], values_[i - 1], "an offset not below the one before it");
      }
      if (values_[i] > size) refuse(check_, tensor_, i, values_[i], size, "an offset within its list");
    }
  }

  void differ(Marks &marks) const {
    if (++marks.now == 0) {
      std::fill(marks.seen.begin(), marks.seen.end(), 0);
      marks.now = 1;
    }
    for (std::int64_t i = 0; i < count_; i++) {
      std::uint32_t &seen = marks.seen[values_[i]];
      if (seen == marks.now) refuse(check_, tensor_, i, values_[i], values_[i], "each value once");
      seen = marks.now;
    }
  }

 private:
  const IndexCheck &check_;
  const std::int32_t tensor_;
  const std::int64_t count_;
  const std::uint32_t *values_;
};

}  // namespace

Vector<IndexCheck> collect_index_checks(const Program &program) {
  Collector collector(program);
  for (std::size_t op = 0; op < program.operations.size(); op++) {
    collector.collect(program.operations[op], static_cast<std::int32_t>(op));
  }
  return collector.take();
}

Marks make_marks(const Program &program, const Vector<IndexCheck> &checks) {
  Marks marks;
  std::int64_t largest = 0;
  for (const IndexCheck &check : checks) {
    if (check.kind == Kind::distinct) largest = std::max(largest, program.size(check.limit, program.max_dims.data()));
  }
  marks.seen.resize(static_cast<std::size_t>(largest));
  return marks;
}

void check_indices(const IndexCheck &check, const Program &program, const std::int32_t *dims, IndexValues values,
                   const void *run, Marks &marks) {
  const auto operand = [&](int which) { return Values(check, which, program, dims, values, run); };
  const std::int64_t limit = program.size(check.limit, dims);
  if (check.kind == Kind::aligned) {
    operand(1).are_below(limit + 1);
    operand(0).are_not_above(operand(1));
    operand(2).are_offsets_into(operand(3).count());
    operand(3).are_below(limit);
    return;
  }
  if (check.kind != Kind::context) {
    operand(0).are_below(limit);
    if (check.kind == Kind::distinct) operand(0).differ(marks);
    return;
  }
  operand(0).are_below(operand(1).count() - 1);
  operand(1).are_offsets_into(operand(2).count());
  operand(2).are_below(limit);
  operand(3).are_offsets_into(operand(4).count());
  operand(4).are_below(limit);
}

void check_bound_extents(const Program &program, const std::int32_t *dims) {
  for (std::size_t op = 0; op < program.operations.size(); op++) {
    const Operation &operation = program.operations[op];
    const auto rows_of = [&](int position) { return program.rows(operation.operands[position], dims); };
    const auto expect = [&](int position, std::int64_t smallest, std::int64_t largest) {
      const std::int64_t rows = rows_of(position);
      if (rows >= smallest && rows <= largest) return;
      const std::int64_t limit = rows < smallest ? smallest : largest;
      hass_error error = make_error(HASS_STATUS_INVALID_INPUT, "Operation %zu: tensor %d has %lld rows, expected at %s %lld.",
                                    op, operation.operands[position], static_cast<long long>(rows),
                                    rows < smallest ? "least" : "most", static_cast<long long>(limit));
      error.op = static_cast<std::int64_t>(op);
      error.tensor = operation.operands[position];
      error.value = rows;
      error.limit = limit;
      throw Failure{error};
    };
    switch (operation.opcode) {
      case HASS_OP_TREE_ATTENTION:
        expect(5, 1, INT32_MAX);
        expect(7, rows_of(0) + 1, rows_of(0) + 1);
        break;
      case HASS_OP_ALIGNED_ATTENTION:
        expect(7, rows_of(0) + 1, rows_of(0) + 1);
        break;
      case HASS_OP_ALIGNED_ATTENTION_GRADIENT:
        expect(11, rows_of(0) + 1, rows_of(0) + 1);
        break;
      case HASS_OP_CONCAT_ROWS:
        expect(0, rows_of(1) + rows_of(2), rows_of(1) + rows_of(2));
        break;
      case HASS_OP_SLICE_ROWS:
        expect(0, 0, rows_of(1));
        break;
      default:
        break;
    }
  }
}

}  // namespace hass
