// Programs and inputs, sound and not.
#include <algorithm>
#include <climits>
#include <cstdio>
#include <memory>
#include <random>

#include "check.h"
#include "every_operation.h"
#include "program_writer.h"
#include "tests.h"

namespace test {
namespace {

std::unique_ptr<EveryOperation> make(const char *isa, std::int32_t threads) {
  return std::make_unique<EveryOperation>(*hass_cpu_backend(), isa, threads);
}

}  // namespace

void test_runs(bool is_long) {
  const char *names[16];
  const std::int32_t num_names = hass_cpu_backend()->isa_names(names, 16);
  CHECK(num_names >= 1);
  for (std::int32_t isa = 0; isa < num_names; isa++) {
    for (const std::int32_t threads : {2, 5}) {
      // Both from fresh caches: a run reads what earlier ones have committed.
      const auto single = make(names[isa], 1);
      const auto several = make(names[isa], threads);
      for (int repetition = 0; repetition < (is_long ? 50 : 2); repetition++) {
        for (std::int32_t rows = 0; rows <= EveryOperation::max_rows; rows++) {
          CHECK(single->run(rows) == HASS_STATUS_OK);
          CHECK(several->run(rows) == HASS_STATUS_OK);
          const std::string expected = single->outputs();
          CHECK(!expected.empty() && expected == several->outputs());
        }
      }
    }
    // Memory that tensors share after one another holds nothing that is still wanted.
    EveryOperation apart(*hass_cpu_backend(), names[isa], 1, true);
    const auto shared = make(names[isa], 1);
    for (std::int32_t rows = 1; rows <= EveryOperation::max_rows; rows++) {
      CHECK(apart.run(rows) == HASS_STATUS_OK && shared->run(rows) == HASS_STATUS_OK);
      CHECK(apart.outputs() == shared->outputs());
    }
    hass_program_facts apart_facts, shared_facts;
    apart.backend.program_facts(apart.program, &apart_facts);
    shared->backend.program_facts(shared->program, &shared_facts);
    CHECK(shared_facts.arena_bytes < apart_facts.arena_bytes);
    // A failed run takes the outputs with it.
    const auto single = make(names[isa], 1);
    const auto read = [&] {
      float value;
      return single->backend.read_output(single->program, single->some_output(), 0, &value, 4, &single->error);
    };
    CHECK(read() == HASS_STATUS_INVALID_ARGUMENT);
    CHECK(single->run(2) == HASS_STATUS_OK);
    CHECK(read() == HASS_STATUS_OK);
    const std::int32_t cancelled = 1;
    CHECK(single->run(2, &cancelled) == HASS_STATUS_CANCELLED);
    CHECK(read() == HASS_STATUS_INVALID_ARGUMENT);
  }
  hass_device *device = nullptr;
  hass_error error;
  const hass_backend &cpu = *hass_cpu_backend();
  CHECK(cpu.create_device("avx9", 1, &device, &error) == HASS_STATUS_UNSUPPORTED);
  CHECK(cpu.create_device("auto", 0, &device, &error) == HASS_STATUS_INVALID_ARGUMENT);
  CHECK(cpu.create_device("auto", 65, &device, &error) == HASS_STATUS_INVALID_ARGUMENT);
  CHECK(cpu.create_device("auto", 2, &device, &error) == HASS_STATUS_OK);
  hass_buffer *buffer = nullptr;
  CHECK(cpu.create_buffer(device, HASS_MAX_BYTES + 1, &buffer, &error) == HASS_STATUS_TOO_LARGE);
  CHECK(cpu.create_weight(device, HASS_F32, INT32_MAX, INT32_MAX, &buffer, &error) == HASS_STATUS_TOO_LARGE);
  CHECK(cpu.create_weight(device, HASS_Q4, 8, 33, &buffer, &error) == HASS_STATUS_INVALID_ARGUMENT);
  CHECK(cpu.create_weight(device, HASS_U32, 8, 32, &buffer, &error) == HASS_STATUS_INVALID_ARGUMENT);
  CHECK(cpu.create_buffer(device, 100, &buffer, &error) == HASS_STATUS_OK);
  char bytes[100];
  CHECK(cpu.read_buffer(buffer, 0, bytes, 100, &error) == HASS_STATUS_OK && bytes[99] == 0);
  CHECK(cpu.write_buffer(buffer, 1, bytes, 100, &error) == HASS_STATUS_INVALID_ARGUMENT);
  CHECK(cpu.write_buffer(buffer, UINT64_MAX, bytes, 1, &error) == HASS_STATUS_INVALID_ARGUMENT);
  CHECK(cpu.write_weight(buffer, HASS_FORMAT_F32, 0, 1, bytes, 4, &error) == HASS_STATUS_INVALID_ARGUMENT);
  cpu.destroy_buffer(buffer);
  cpu.destroy_device(device);
}

namespace {

// One rule broken at a time, of a program that is sound without it.
void test_broken_rules() {
  const hass_backend &cpu = *hass_cpu_backend();
  hass_device *device = nullptr;
  hass_buffer *plain = nullptr, *matrix = nullptr;
  hass_error error;
  CHECK(cpu.create_device("auto", 1, &device, &error) == HASS_STATUS_OK);
  CHECK(cpu.create_buffer(device, 4096, &plain, &error) == HASS_STATUS_OK);
  CHECK(cpu.create_weight(device, HASS_F32, 8, 8, &matrix, &error) == HASS_STATUS_OK);

  using Write = void (*)(ProgramWriter &, hass_buffer *plain, hass_buffer *matrix);
  // Tensors 0: input [R, 8], 1: activation [R, 8], 2: output [R, 8], 3: state [8, 8], 4: matrix [8, 8],
  // 5: input [R] U32, 6: vector [8].
  const auto attempt = [&](Write write, std::int32_t extra_word = 0) {
    ProgramWriter w;
    w.dims = {4};
    w.tensor(HASS_INPUT, HASS_F32, {dim(0), 8});
    w.tensor(HASS_ACTIVATION, HASS_F32, {dim(0), 8});
    w.tensor(HASS_OUTPUT, HASS_F32, {dim(0), 8});
    w.tensor(HASS_STATE, HASS_F32, {8, 8}, plain);
    w.tensor(HASS_WEIGHT, HASS_F32, {8, 8}, matrix);
    w.tensor(HASS_INPUT, HASS_U32, {dim(0)});
    w.tensor(HASS_WEIGHT, HASS_F32, {8}, plain);
    write(w, plain, matrix);
    std::vector<std::int32_t> words = w.words();
    if (extra_word) words.push_back(extra_word);
    hass_program *program = nullptr;
    const hass_status status =
        cpu.create_program(device, words.data(), words.size(), w.bindings.data(), w.bindings.size(), &program, &error);
    if (status == HASS_STATUS_OK) cpu.destroy_program(program);
    return status;
  };
  const Write sound = [](ProgramWriter &w, hass_buffer *, hass_buffer *) {
    w.operation(HASS_OP_ADD, {1, 0, 0});
    w.operation(HASS_OP_LINEAR, {2, 1, 4, 6, 0}, {0});
    w.operation(HASS_OP_CACHE_WRITE, {3, 2, 5});
  };
  CHECK(attempt(sound) == HASS_STATUS_OK);
  CHECK(attempt(sound, 1) == HASS_STATUS_INVALID_PROGRAM);
  const Write broken[] = {
      // Nothing writes the output.
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {1, 0, 0}); },
      // Read before it is written; read by what writes it; written twice; written though an input, or a state.
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 1, 0}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 2, 0}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) {
        w.operation(HASS_OP_ADD, {2, 0, 0});
        w.operation(HASS_OP_MUL, {2, 0, 0});
      },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) {
        w.operation(HASS_OP_ADD, {2, 0, 0});
        w.operation(HASS_OP_ADD, {0, 2, 2});
      },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) {
        w.operation(HASS_OP_ADD, {2, 0, 0});
        w.operation(HASS_OP_ADD, {3, 3, 3});
      },
      // Opcode, number of operands, of attributes; an operand that is not optional.
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(63, {2, 0, 0}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 0}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 0, 0}, {1}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 0, HASS_NONE}); },
      // Dtypes, ranks, extents, attributes.
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 5, 5}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 0, 6}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_ADD, {2, 0, 3}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_LINEAR, {2, 0, 4, HASS_NONE, HASS_NONE}, {7}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_SLICE_COLUMNS, {2, 0}, {1}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_RMS_NORM, {2, 0, 6}, {bits(-1.0f)}); },
      // A weight as a matrix and row by row; a state where a weight is wanted, and the other way round.
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) {
        w.operation(HASS_OP_LINEAR, {2, 0, 4, HASS_NONE, HASS_NONE}, {0});
        w.operation(HASS_OP_GATHER_ROWS, {1, 4, 5});
      },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) { w.operation(HASS_OP_LINEAR, {2, 0, 3, HASS_NONE, HASS_NONE}, {0}); },
      [](ProgramWriter &w, hass_buffer *, hass_buffer *) {
        w.operation(HASS_OP_ADD, {2, 0, 0});
        w.operation(HASS_OP_CACHE_WRITE, {4, 2, 5});
      },
      // Indices out of a buffer that a kernel could change.
      [](ProgramWriter &w, hass_buffer *plain_buffer, hass_buffer *) {
        const std::int32_t slots = w.tensor(HASS_WEIGHT, HASS_U32, {8}, plain_buffer);
        const std::int32_t y = w.tensor(HASS_OUTPUT, HASS_F32, {8, 8});
        w.operation(HASS_OP_ADD, {2, 0, 0});
        w.operation(HASS_OP_GATHER_ROWS, {y, 2, slots});
      },
  };
  for (const Write &write : broken) {
    error = {};
    if (!CHECK(attempt(write) == HASS_STATUS_INVALID_PROGRAM)) std::printf("  broken rule %td\n", &write - broken);
  }
  cpu.destroy_buffer(matrix);
  cpu.destroy_buffer(plain);
  cpu.destroy_device(device);
}

}  // namespace

void test_malformed_programs(bool is_long) {
  test_broken_rules();
  const auto model = make("auto", 1);
  const hass_backend &cpu = model->backend;
  const std::vector<std::int32_t> &words = model->words;
  int refused = 0, accepted = 0;
  bool is_typed = true;
  const auto attempt = [&](const std::vector<std::int32_t> &changed, std::size_t count) {
    hass_program *program = nullptr;
    hass_error error;
    const hass_status status = cpu.create_program(model->device, changed.data(), count, model->bindings.data(),
                                                  model->bindings.size(), &program, &error);
    if (status == HASS_STATUS_OK) {
      accepted++;
      // What is accepted must run on whatever inputs, or be refused: memory stays whole either way.
      hass_program_facts facts;
      cpu.program_facts(program, &facts);
      if (facts.parameter_bytes < (1u << 20)) {
        auto *parameters = static_cast<unsigned char *>(std::aligned_alloc(64, facts.parameter_bytes + 64));
        for (std::uint64_t i = 0; i < facts.parameter_bytes; i++) parameters[i] = i % 4 == 0 ? i / 4 % 5 : 0;
        std::vector<std::int32_t> dims(static_cast<std::size_t>(facts.num_dims), 2);
        cpu.run(program, dims.data(), dims.size(), parameters, nullptr, &error);
        std::free(parameters);
      }
      cpu.destroy_program(program);
    } else {
      refused++;
      is_typed = is_typed && (status == HASS_STATUS_INVALID_PROGRAM || status == HASS_STATUS_TOO_LARGE ||
                              status == HASS_STATUS_OUT_OF_MEMORY);
    }
  };
  // Copied to a vector of exact size, so that a word too far is found.
  for (std::size_t count = 0; count < words.size(); count++) {
    attempt(std::vector<std::int32_t>(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count)), count);
  }
  CHECK(accepted == 0 && refused == static_cast<int>(words.size()));
  for (std::size_t i = 0; i < words.size(); i++) {
    for (const std::int32_t value : {-1, 0, 1, 3, INT_MAX, INT_MIN, words[i] + 1, words[i] - 1}) {
      // Arenas of gigabytes are sound programs on a large machine.
      if (i >= 5 && i < 11 && value > 4096) continue;
      std::vector<std::int32_t> changed = words;
      changed[i] = value;
      attempt(changed, changed.size());
    }
  }
  std::mt19937 random(11);
  for (int round = 0; round < (is_long ? 20000 : 1000); round++) {
    std::vector<std::int32_t> changed = words;
    for (int i = 0; i < 3; i++) {
      const std::size_t at = 11 + random() % (words.size() - 11);
      changed[at] = random() % 2 ? words[11 + random() % (words.size() - 11)] : static_cast<std::int32_t>(random() % 64);
    }
    attempt(changed, changed.size());
  }
  CHECK(is_typed);
  CHECK(accepted > 50 && refused > 1000);

  hass_program *program = nullptr;
  hass_error error;
  CHECK(cpu.create_program(model->device, words.data(), words.size(), model->bindings.data(),
                           model->bindings.size() - 1, &program, &error) == HASS_STATUS_INVALID_PROGRAM);
  for (std::size_t i = 0; i < model->bindings.size(); i++) {
    std::vector<hass_buffer *> bindings = model->bindings;
    bindings[i] = bindings[i] ? nullptr : *std::find_if(bindings.begin(), bindings.end(), [](auto *b) { return b; });
    CHECK(cpu.create_program(model->device, words.data(), words.size(), bindings.data(), bindings.size(), &program,
                             &error) == HASS_STATUS_INVALID_PROGRAM);
  }

  // Products past 2^31 and 2^64.
  ProgramWriter large;
  large.dims = {INT_MAX};
  const std::int32_t x = large.tensor(HASS_INPUT, HASS_F32, {dim(0), INT_MAX});
  large.operation(HASS_OP_ADD, {large.tensor(HASS_OUTPUT, HASS_F32, {dim(0), INT_MAX}), x, x});
  CHECK(cpu.create_program(model->device, large.words().data(), large.words().size(), large.bindings.data(), 2,
                           &program, &error) == HASS_STATUS_TOO_LARGE);
}

void test_inputs(bool) {
  const auto model = make("auto", 2);
  CHECK(model->run(4) == HASS_STATUS_OK);
  const struct {
    const char *input;
    std::size_t index;
    std::uint32_t value;
  } wrong[] = {
      {"tokens", 3, 96},           {"tokens", 0, UINT32_MAX},     {"positions", 2, 64},       {"slots", 1, 32},
      {"slots", 2, 10},            {"row_sequence", 0, 2},        {"sequence_offsets", 1, 6}, {"sequence_offsets", 2, 1},
      {"sequence_offsets", 2, 17}, {"context_slots", 4, 32},      {"ancestor_offsets", 1, 9}, {"ancestor_offsets", 4, 11},
      {"ancestor_slots", 9, 32},   {"ancestor_slots", 0, 1u << 31}, {"selected", 0, 4},       {"from", 1, 32},
      {"to", 3, 32},               {"to", 0, 1},                {"ends", 1, 5},             {"begins", 3, 4},
      {"begins", 0, UINT32_MAX},   {"near", 9, 4},
  };
  for (const auto &it : wrong) {
    model->error = {};
    CHECK(model->run_with(4, it.input, it.index, it.value) == HASS_STATUS_INVALID_INPUT);
    CHECK(model->error.value >= 0 && model->error.tensor >= 0 && model->error.op >= 0);
  }
  // None of them has touched the state: the next run gives what it gives where nothing was refused.
  const auto untouched = make("auto", 2);
  for (int run = 0; run < 2; run++) CHECK(untouched->run(4) == HASS_STATUS_OK);
  CHECK(model->run(4) == HASS_STATUS_OK);
  CHECK(model->outputs() == untouched->outputs());

  hass_error error;
  std::vector<std::int32_t> dims{4, 4, 3, 5, 4, 10, 8};
  alignas(64) static unsigned char parameters[1 << 16];
  CHECK(model->backend.run(model->program, dims.data(), 7, parameters, nullptr, &error) == HASS_STATUS_INVALID_INPUT);
  dims = {4, 4, 0, 5, 5, 10, 8};
  CHECK(model->backend.run(model->program, dims.data(), 7, parameters, nullptr, &error) == HASS_STATUS_INVALID_INPUT);
  dims = {4, 4, 3, 5, 5, 10, 7};
  CHECK(model->backend.run(model->program, dims.data(), 7, parameters, nullptr, &error) == HASS_STATUS_INVALID_INPUT);
  dims = {7, 4, 3, 5, 8, 10, 8};
  CHECK(model->backend.run(model->program, dims.data(), 7, parameters, nullptr, &error) ==
        HASS_STATUS_INVALID_ARGUMENT);
  dims = {-1, 4, 3, 5, 5, 10, 8};
  CHECK(model->backend.run(model->program, dims.data(), 7, parameters, nullptr, &error) ==
        HASS_STATUS_INVALID_ARGUMENT);
  CHECK(model->backend.run(model->program, dims.data(), 6, parameters, nullptr, &error) ==
        HASS_STATUS_INVALID_ARGUMENT);
}

void test_failing_allocations(bool) {
  const hass_backend &cpu = *hass_cpu_backend();
  EveryOperation healthy(cpu, "auto", 2);
  CHECK(healthy.run(4) == HASS_STATUS_OK);
  const std::string expected = healthy.outputs();
  int failures = 0;
  for (int n = 1;; n++) {
    hass_fail_allocation(n);
    hass_status status = HASS_STATUS_OK;
    try {
      EveryOperation model(cpu, "auto", 2);
      status = model.run(4);
      hass_fail_allocation(0);
      if (status == HASS_STATUS_OK) {
        CHECK(model.outputs() == expected);
        break;
      }
    } catch (const hass_status thrown) {
      status = thrown;
    }
    hass_fail_allocation(0);
    failures++;
    CHECK(status == HASS_STATUS_OUT_OF_MEMORY);
    // The next request works.
    CHECK(healthy.run(1) == HASS_STATUS_OK);
  }
  CHECK(failures > 50);
}

}  // namespace test
