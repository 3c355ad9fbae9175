// One small program that has every opcode, with inputs for any number of rows: what tests of the runtime run.
#pragma once

#include <string>
#include <vector>

#include "../include/hass_backend.h"

namespace test {

class EveryOperation {
 public:
  static constexpr std::int32_t max_rows = 6;

  // Throws hass_status if anything cannot be made; frees what was made until then.
  // keeps_everything: no two tensors share memory, since all activations are outputs.
  EveryOperation(const hass_backend &backend, const char *isa, std::int32_t threads, bool keeps_everything = false);
  ~EveryOperation();
  EveryOperation(const EveryOperation &) = delete;
  EveryOperation &operator=(const EveryOperation &) = delete;

  // Rows of one sequence with a chain of ancestors.
  hass_status run(std::int32_t rows, const std::int32_t *cancelled = nullptr);
  // As set up by `run`, with one input word changed.
  hass_status run_with(std::int32_t rows, const char *input, std::size_t index, std::uint32_t value);
  // The bytes of all outputs and of the state, after a run.
  std::string outputs() const;
  std::int32_t some_output() const { return outputs_.front(); }

  const hass_backend &backend;
  hass_device *device = nullptr;
  hass_program *program = nullptr;
  std::vector<std::int32_t> words;
  std::vector<hass_buffer *> bindings;
  hass_error error{};

 private:
  struct Input {
    std::int32_t tensor;
    const char *name;
  };
  void release();
  void build(bool keeps_everything);
  hass_buffer *plain(std::size_t bytes);
  hass_buffer *floats(std::size_t count, float scale);
  hass_buffer *weight(std::int32_t dtype, std::int32_t rows, std::int32_t columns);
  void set(const char *input, std::initializer_list<std::uint32_t> values);
  void set(const char *input, const std::vector<std::uint32_t> &values);
  void prepare(std::int32_t rows);

  std::vector<hass_buffer *> buffers_, states_;
  std::vector<Input> inputs_;
  std::vector<std::int32_t> outputs_;
  std::vector<std::int32_t> dims_;
  unsigned char *parameters_ = nullptr;
};

}  // namespace test
