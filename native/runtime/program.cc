#include "program.h"

#include <climits>
#include <cstring>

#include "failure.h"

namespace hass {
namespace {

// A model has some hundreds of each; the arena's planner is quadratic in what is alive at once.
constexpr std::int32_t max_count = 1 << 15;

class Reader {
 public:
  Reader(const std::int32_t *words, std::size_t count) : words_(words), count_(count) {}
  std::size_t left() const { return count_ - at_; }
  std::int32_t next(const char *what) { return *take(1, what); }
  const std::int32_t *take(std::size_t count, const char *what) {
    if (count > left()) fail(HASS_STATUS_INVALID_PROGRAM, "The program ends within %s.", what);
    const std::int32_t *words = words_ + at_;
    at_ += count;
    return words;
  }
  std::int32_t count(const char *what, std::int32_t words_each) {
    const std::int32_t value = next(what);
    if (value < 0 || value > max_count) {
      fail(HASS_STATUS_INVALID_PROGRAM, "The program names %d %s, expected 0 to %d.", value, what, max_count);
    }
    if (static_cast<std::size_t>(value) * static_cast<std::size_t>(words_each) > left()) {
      fail(HASS_STATUS_INVALID_PROGRAM, "The program names %d %s, more than its words can hold.", value, what);
    }
    return value;
  }

 private:
  const std::int32_t *words_;
  std::size_t count_;
  std::size_t at_ = 0;
};

bool is_dtype(std::int32_t dtype) { return element_bytes(dtype) != 0 || (dtype >= HASS_Q4 && dtype <= HASS_F8); }

[[noreturn]] void fail_tensor(std::int32_t tensor, hass_status status, const char *what) {
  hass_error error = make_error(status, "Tensor %d %s.", tensor, what);
  error.tensor = tensor;
  throw Failure{error};
}

Tensor read_tensor(Reader &reader, std::int32_t index, const Program &program) {
  const std::int32_t *words = reader.take(7, "a tensor");
  Tensor tensor;
  tensor.kind = words[0];
  tensor.dtype = words[1];
  tensor.rank = words[2];
  std::memcpy(tensor.extent, words + 3, sizeof tensor.extent);
  if (tensor.kind < HASS_ACTIVATION || tensor.kind > HASS_OUTPUT) {
    fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "is of no known kind");
  }
  if (!is_dtype(tensor.dtype)) fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "is of no known dtype");
  if (tensor.rank < 1 || tensor.rank > 4) fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "has a rank beyond 1 to 4");
  const bool is_bound = tensor.kind == HASS_WEIGHT || tensor.kind == HASS_STATE;
  if (element_bytes(tensor.dtype) == 0 && tensor.kind != HASS_WEIGHT) {
    fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "is packed but no weight");
  }
  // Of the maximal sizes; the largest element has 4 bytes.
  std::uint64_t elements = 1;
  for (int axis = 0; axis < 4; axis++) {
    const Extent extent = tensor.extent[axis];
    if (axis >= tensor.rank && extent != 1) fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "has unused extents");
    if (extent < 0) {
      if (axis > 0) fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "has a dimension that is not its first");
      if (is_bound) fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "is bound to a buffer and has a dimension");
      if (-(extent + 1) >= static_cast<std::int32_t>(program.max_dims.size())) {
        fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "has a dimension that does not exist");
      }
    }
    if (extent == 0 && axis > 0) fail_tensor(index, HASS_STATUS_INVALID_PROGRAM, "has rows without elements");
    const auto size = static_cast<std::uint64_t>(extent < 0 ? program.max_dims[-(extent + 1)] : extent);
    if (size != 0 && elements > HASS_MAX_BYTES / 4 / size) {
      fail_tensor(index, HASS_STATUS_TOO_LARGE, "has more bytes than can be addressed");
    }
    elements *= size;
  }
  return tensor;
}

Operation read_operation(Reader &reader, std::int32_t num_tensors) {
  Operation operation;
  operation.opcode = reader.next("an operation");
  operation.num_operands = reader.count("operands", 1);
  operation.operands = reader.take(static_cast<std::size_t>(operation.num_operands), "operands");
  for (std::int32_t i = 0; i < operation.num_operands; i++) {
    const std::int32_t operand = operation.operands[i];
    if (operand < HASS_NONE || operand >= num_tensors) {
      fail(HASS_STATUS_INVALID_PROGRAM, "An operand is tensor %d of %d.", operand, num_tensors);
    }
  }
  operation.num_attributes = reader.count("attributes", 1);
  operation.attributes = reader.take(static_cast<std::size_t>(operation.num_attributes), "attributes");
  return operation;
}

}  // namespace

std::uint32_t element_bytes(std::int32_t dtype) {
  switch (dtype) {
    case HASS_F32:
    case HASS_I32:
    case HASS_U32:
      return 4;
    case HASS_F16:
    case HASS_BF16:
      return 2;
    default:
      return 0;
  }
}

float Operation::float_attribute(int index) const {
  float value;
  std::memcpy(&value, attributes + index, sizeof value);
  return value;
}

std::int64_t Program::size(Extent extent, const std::int32_t *dims) const {
  return extent < 0 ? dims[-(extent + 1)] : extent;
}

std::int64_t Program::rows(std::int32_t tensor, const std::int32_t *dims) const {
  return size(tensors[static_cast<std::size_t>(tensor)].extent[0], dims);
}

std::int64_t Program::columns(std::int32_t index) const {
  const Tensor &tensor = tensors[static_cast<std::size_t>(index)];
  return static_cast<std::int64_t>(tensor.extent[1]) * tensor.extent[2] * tensor.extent[3];
}

std::uint64_t Program::bytes(std::int32_t tensor, const std::int32_t *dims) const {
  return static_cast<std::uint64_t>(rows(tensor, dims)) * static_cast<std::uint64_t>(columns(tensor)) *
         element_bytes(tensors[static_cast<std::size_t>(tensor)].dtype);
}

Program read_program(const std::int32_t *words, std::size_t num_words) {
  Program program;
  program.words.assign(words, words + num_words);
  Reader reader(program.words.data(), num_words);
  const std::int32_t magic = reader.next("its header");
  const std::int32_t version = reader.next("its header");
  if (magic != HASS_PROGRAM_MAGIC || version != HASS_PROGRAM_VERSION) {
    fail(HASS_STATUS_INVALID_PROGRAM, "The words begin with %#x and version %d, expected %#x and version %d.",
         static_cast<unsigned>(magic), version, HASS_PROGRAM_MAGIC, HASS_PROGRAM_VERSION);
  }
  const std::int32_t num_dims = reader.count("dimensions", 1);
  const std::int32_t num_tensors = reader.count("tensors", 7);
  const std::int32_t num_operations = reader.count("operations", 3);

  const std::int32_t *max_dims = reader.take(static_cast<std::size_t>(num_dims), "its dimensions");
  program.max_dims.assign(max_dims, max_dims + num_dims);
  for (std::int32_t dim = 0; dim < num_dims; dim++) {
    if (max_dims[dim] < 0) fail(HASS_STATUS_INVALID_PROGRAM, "Dimension %d is at most %d.", dim, max_dims[dim]);
  }
  program.tensors.reserve(static_cast<std::size_t>(num_tensors));
  for (std::int32_t i = 0; i < num_tensors; i++) program.tensors.push_back(read_tensor(reader, i, program));
  program.operations.reserve(static_cast<std::size_t>(num_operations));
  for (std::int32_t i = 0; i < num_operations; i++) {
    program.operations.push_back(read_operation(reader, num_tensors));
  }
  if (reader.left() != 0) {
    fail(HASS_STATUS_INVALID_PROGRAM, "%zu words follow the last operation.", reader.left());
  }
  check_operations(program);
  return program;
}

}  // namespace hass
