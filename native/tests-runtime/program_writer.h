// Writes programs word by word, as packages/kernels does.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "../include/hass_backend.h"
#include "../include/hass_program.h"

namespace test {

inline std::int32_t bits(float value) {
  std::int32_t word;
  std::memcpy(&word, &value, sizeof word);
  return word;
}

inline constexpr std::int32_t dim(int index) { return -1 - index; }

class ProgramWriter {
 public:
  std::vector<std::int32_t> dims;

  std::int32_t tensor(std::int32_t kind, std::int32_t dtype, std::initializer_list<std::int32_t> shape,
                      hass_buffer *buffer = nullptr) {
    tensors_.insert(tensors_.end(), {kind, dtype, static_cast<std::int32_t>(shape.size())});
    tensors_.insert(tensors_.end(), shape);
    tensors_.insert(tensors_.end(), 4 - shape.size(), 1);
    bindings.push_back(buffer);
    return static_cast<std::int32_t>(bindings.size()) - 1;
  }

  void operation(std::int32_t opcode, std::initializer_list<std::int32_t> operands,
                 std::initializer_list<std::int32_t> attributes = {}) {
    operations_.insert(operations_.end(), {opcode, static_cast<std::int32_t>(operands.size())});
    operations_.insert(operations_.end(), operands);
    operations_.push_back(static_cast<std::int32_t>(attributes.size()));
    operations_.insert(operations_.end(), attributes);
    num_operations_++;
  }

  std::vector<std::int32_t> words() const {
    std::vector<std::int32_t> words{HASS_PROGRAM_MAGIC, HASS_PROGRAM_VERSION, static_cast<std::int32_t>(dims.size()),
                                    static_cast<std::int32_t>(bindings.size()), num_operations_};
    words.insert(words.end(), dims.begin(), dims.end());
    words.insert(words.end(), tensors_.begin(), tensors_.end());
    words.insert(words.end(), operations_.begin(), operations_.end());
    return words;
  }

  std::vector<hass_buffer *> bindings;

 private:
  std::vector<std::int32_t> tensors_, operations_;
  std::int32_t num_operations_ = 0;
};

}  // namespace test
