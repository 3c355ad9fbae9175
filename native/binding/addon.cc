// The addon's functions; README.md is their contract.
#include <cstring>
#include <memory>

#include "backend_library.h"
#include "jobs.h"
#include "processor.h"

namespace hass {
namespace {

constexpr std::int64_t max_handle = (std::int64_t(1) << 53) - 1;

const hass_backend &cpu() { return *hass_cpu_backend(); }

void check(hass_status status, const hass_error &error) {
  if (status != HASS_STATUS_OK) throw Failure{error};
}

napi_value strings(napi_env env, const char *const *texts, std::int32_t count) {
  napi_value list;
  require(napi_create_array_with_length(env, static_cast<std::size_t>(count), &list));
  for (std::int32_t i = 0; i < count; i++) {
    require(napi_set_element(env, list, static_cast<std::uint32_t>(i), text_value(env, texts[i])));
  }
  return list;
}

napi_value isa_names(napi_env env, const Arguments &) {
  const char *names[16];
  const std::int32_t count = cpu().isa_names(names, 16);
  return strings(env, names, count < 16 ? count : 16);
}

napi_value processor_facts(napi_env env, const Arguments &) {
  const char *features[max_features];
  const std::int32_t count = processor_features(features);
  napi_value facts;
  require(napi_create_object(env, &facts));
  set_property(env, facts, "features", strings(env, features, count));
  set_property(env, facts, "threads", number_value(env, processor_threads()));
  return facts;
}

napi_value create_device(napi_env env, const Arguments &arguments) {
  const Arguments::Text isa = arguments.text(0, "isa");
  const auto threads = static_cast<std::int32_t>(arguments.integer(1, "threads", 1, HASS_MAX_THREADS));
  const Arguments::Path library = arguments.path(2, "library");
  const hass_backend &backend = library.characters[0] == 0 ? cpu() : *load_backend(library.characters);
  return number_value(env, Environment::of(env).add(Ref<Object>(new Device(backend, isa.characters, threads))));
}

napi_value device_facts(napi_env env, const Arguments &arguments) {
  const Device &device = Environment::of(env).device(arguments.number(0, "device"));
  hass_device_facts facts;
  device.backend->device_facts(device.device, &facts);
  napi_value object;
  require(napi_create_object(env, &object));
  set_property(env, object, "isa", text_value(env, facts.isa));
  set_property(env, object, "threads", number_value(env, facts.threads));
  set_property(env, object, "memoryBytes", number_value(env, static_cast<double>(facts.memory_bytes)));
  if (facts.name) {
    napi_value gpu;
    require(napi_create_object(env, &gpu));
    set_property(env, gpu, "name", text_value(env, facts.name));
    set_property(env, gpu, "driver", number_value(env, facts.driver));
    set_property(env, gpu, "memoryBytes", number_value(env, static_cast<double>(facts.gpu_bytes)));
    set_property(env, object, "gpu", gpu);
  }
  set_property(env, object, "busyMs", number_value(env, device.busy_ms()));
  return object;
}

napi_value measure_device(napi_env env, const Arguments &arguments) {
  Environment &environment = Environment::of(env);
  const Ref<Device> device(&environment.device(arguments.number(0, "device")));
  return environment.submit(env, std::make_unique<MeasureJob>(environment, device));
}

// Made before the native buffer, so that nothing is lost if one of the two cannot be made.
template <typename Create> napi_value add_buffer(napi_env env, double device_handle, Create create) {
  Environment &environment = Environment::of(env);
  Ref<Buffer> buffer(new Buffer(Ref<Device>(&environment.device(device_handle))));
  hass_error error;
  check(create(*buffer->owner->backend, buffer->owner->device, &buffer->buffer, &error), error);
  return number_value(env, environment.add(Ref<Object>(buffer.get())));
}

napi_value create_buffer(napi_env env, const Arguments &arguments) {
  const auto bytes = static_cast<std::uint64_t>(arguments.integer(1, "bytes", 0, std::int64_t(HASS_MAX_BYTES)));
  return add_buffer(env, arguments.number(0, "device"), [&](const hass_backend &backend, auto device, auto buffer, auto error) {
    return backend.create_buffer(device, bytes, buffer, error);
  });
}

napi_value create_weight(napi_env env, const Arguments &arguments) {
  const auto dtype = static_cast<std::int32_t>(arguments.integer(1, "dtype", 0, INT32_MAX));
  const auto rows = static_cast<std::int32_t>(arguments.integer(2, "rows", 1, INT32_MAX));
  const auto columns = static_cast<std::int32_t>(arguments.integer(3, "columns", 1, INT32_MAX));
  return add_buffer(env, arguments.number(0, "device"), [&](const hass_backend &backend, auto device, auto buffer, auto error) {
    return backend.create_weight(device, dtype, rows, columns, buffer, error);
  });
}

napi_value buffer_facts(napi_env env, const Arguments &arguments) {
  const Buffer &buffer = Environment::of(env).buffer(arguments.number(0, "buffer"));
  hass_buffer_facts facts;
  buffer.owner->backend->buffer_facts(buffer.buffer, &facts);
  napi_value object;
  require(napi_create_object(env, &object));
  set_property(env, object, "bytes", number_value(env, static_cast<double>(facts.bytes)));
  set_property(env, object, "dtype", number_value(env, facts.dtype));
  set_property(env, object, "rows", number_value(env, facts.rows));
  set_property(env, object, "columns", number_value(env, facts.columns));
  return object;
}

Buffer &idle_buffer(napi_env env, const Arguments &arguments) {
  const Environment &environment = Environment::of(env);
  Buffer &buffer = environment.buffer(arguments.number(0, "buffer"));
  environment.check_idle(buffer);
  return buffer;
}

napi_value write_buffer(napi_env env, const Arguments &arguments) {
  const Buffer &buffer = idle_buffer(env, arguments);
  const auto offset = static_cast<std::uint64_t>(arguments.integer(1, "byteOffset", 0, std::int64_t(HASS_MAX_BYTES)));
  const Arguments::Bytes source = arguments.view(2, "source");
  hass_error error;
  check(buffer.owner->backend->write_buffer(buffer.buffer, offset, source.data, source.bytes, &error), error);
  return undefined_value(env);
}

napi_value read_buffer(napi_env env, const Arguments &arguments) {
  const Buffer &buffer = idle_buffer(env, arguments);
  const auto offset = static_cast<std::uint64_t>(arguments.integer(1, "byteOffset", 0, std::int64_t(HASS_MAX_BYTES)));
  const Arguments::Bytes target = arguments.view(2, "target");
  hass_error error;
  check(buffer.owner->backend->read_buffer(buffer.buffer, offset, target.data, target.bytes, &error), error);
  return undefined_value(env);
}

hass_format format_of(const char *name) {
  const struct {
    const char *name;
    hass_format format;
  } formats[] = {{"F32", HASS_FORMAT_F32},   {"F16", HASS_FORMAT_F16},   {"BF16", HASS_FORMAT_BF16},
                 {"Q4_0", HASS_FORMAT_Q4_0}, {"Q4_1", HASS_FORMAT_Q4_1}, {"Q8_0", HASS_FORMAT_Q8_0},
                 {"Q4_K", HASS_FORMAT_Q4_K}, {"F8_128", HASS_FORMAT_F8_128}};
  for (const auto &format : formats) {
    if (std::strcmp(name, format.name) == 0) return format.format;
  }
  fail(HASS_STATUS_UNSUPPORTED, "\"%.20s\" is no weight format of this build.", name);
}

napi_value write_weight(napi_env env, const Arguments &arguments) {
  const Ref<Buffer> weight(&idle_buffer(env, arguments));
  const hass_format format = format_of(arguments.text(1, "format").characters);
  const auto first_row = static_cast<std::int32_t>(arguments.integer(2, "firstRow", 0, INT32_MAX));
  const auto num_rows = static_cast<std::int32_t>(arguments.integer(3, "numRows", 0, INT32_MAX));
  const Arguments::Bytes source = arguments.view(4, "source");
  Environment &environment = Environment::of(env);
  return environment.submit(
      env, std::make_unique<WriteWeightJob>(environment, weight, format, first_row, num_rows, source));
}

napi_value create_program(napi_env env, const Arguments &arguments) {
  Environment &environment = Environment::of(env);
  const Ref<Device> device(&environment.device(arguments.number(0, "device")));
  const Arguments::Bytes words = arguments.array(1, "words", napi_int32_array);
  const Arguments::Bytes bindings = arguments.array(2, "bindings", napi_float64_array);
  Ref<BoundProgram> program(new BoundProgram(device));
  Vector<hass_buffer *> buffers(bindings.elements);
  for (std::size_t i = 0; i < bindings.elements; i++) {
    const double handle = static_cast<const double *>(bindings.data)[i];
    if (handle == 0) continue;
    Buffer &buffer = environment.buffer(handle);
    if (buffer.owner.get() != device.get()) fail(HASS_STATUS_INVALID_ARGUMENT, "A buffer belongs to another device.");
    program->buffers.emplace_back(&buffer);
    buffers[i] = buffer.buffer;
  }
  hass_error error;
  check(device->backend->create_program(device->device, static_cast<const std::int32_t *>(words.data), words.elements,
                             buffers.data(), buffers.size(), &program->program, &error),
        error);
  device->backend->program_facts(program->program, &program->facts);
  for (std::int32_t tensor = 0; tensor < program->facts.num_tensors; tensor++) {
    program->input_offsets.push_back(device->backend->input_offset(program->program, tensor));
  }
  return number_value(env, environment.add(Ref<Object>(program.get())));
}

napi_value program_facts(napi_env env, const Arguments &arguments) {
  const BoundProgram &program = Environment::of(env).program(arguments.number(0, "program"));
  const std::size_t count = program.input_offsets.size();
  napi_value object, memory, offsets;
  void *data = nullptr;
  require(napi_create_arraybuffer(env, count * sizeof(double), &data, &memory));
  for (std::size_t i = 0; i < count; i++) {
    static_cast<double *>(data)[i] = static_cast<double>(program.input_offsets[i]);
  }
  require(napi_create_typedarray(env, napi_float64_array, count, memory, 0, &offsets));
  require(napi_create_object(env, &object));
  set_property(env, object, "parameterBytes", number_value(env, static_cast<double>(program.facts.parameter_bytes)));
  set_property(env, object, "arenaBytes", number_value(env, static_cast<double>(program.facts.arena_bytes)));
  set_property(env, object, "inputOffsets", offsets);
  return object;
}

napi_value run_program(napi_env env, const Arguments &arguments) {
  Environment &environment = Environment::of(env);
  const Ref<BoundProgram> program(&environment.program(arguments.number(0, "program")));
  const Arguments::Bytes dims = arguments.array(1, "dims", napi_int32_array);
  const Arguments::Bytes parameters = arguments.array(2, "parameters", napi_uint8_array);
  const auto run_id = static_cast<double>(arguments.integer(3, "runId", 1, max_handle));
  if (parameters.bytes != program->facts.parameter_bytes) {
    fail(HASS_STATUS_INVALID_ARGUMENT, "The parameters have %zu bytes, expected %llu.", parameters.bytes,
         static_cast<unsigned long long>(program->facts.parameter_bytes));
  }
  return environment.submit(
      env, std::make_unique<RunJob>(environment, program, static_cast<const std::int32_t *>(dims.data), dims.elements,
                                    static_cast<const unsigned char *>(parameters.data), run_id));
}

napi_value cancel_run(napi_env env, const Arguments &arguments) {
  Environment &environment = Environment::of(env);
  const Device &device = environment.device(arguments.number(0, "device"));
  environment.cancel(device, static_cast<double>(arguments.integer(1, "runId", 1, max_handle)));
  return undefined_value(env);
}

napi_value read_output(napi_env env, const Arguments &arguments) {
  const Environment &environment = Environment::of(env);
  const BoundProgram &program = environment.program(arguments.number(0, "program"));
  environment.check_idle(program);
  const auto tensor = static_cast<std::int32_t>(arguments.integer(1, "tensor", 0, INT32_MAX));
  const auto first = static_cast<std::uint64_t>(arguments.integer(2, "firstElement", 0, std::int64_t(HASS_MAX_BYTES)));
  const Arguments::Bytes target = arguments.view(3, "target");
  hass_error error;
  check(program.owner->backend->read_output(program.program, tensor, first, target.data, target.bytes, &error), error);
  return undefined_value(env);
}

napi_value dispose(napi_env env, const Arguments &arguments) {
  Environment::of(env).remove(arguments.number(0, "handle"));
  return undefined_value(env);
}

napi_value fail_allocation(napi_env env, const Arguments &arguments) {
  hass_fail_allocation(arguments.integer(0, "countdown", 0, max_handle));
  return undefined_value(env);
}

using Function = napi_value (*)(napi_env, const Arguments &);

template <Function function> napi_value entry(napi_env env, napi_callback_info info) {
  return call_guarded(env, [&] { return function(env, Arguments(env, info)); });
}

void define(napi_env env, napi_value exports, const char *name, napi_callback callback) {
  napi_value function;
  require(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function));
  set_property(env, exports, name, function);
}

napi_value initialise(napi_env env, napi_value exports) {
  return call_guarded(env, [&] {
    // Owned by the environment from its constructor on.
    new Environment(env);
    set_property(env, exports, "version", number_value(env, 2));
    define(env, exports, "isaNames", entry<isa_names>);
    define(env, exports, "processorFacts", entry<processor_facts>);
    define(env, exports, "createDevice", entry<create_device>);
    define(env, exports, "deviceFacts", entry<device_facts>);
    define(env, exports, "measureDevice", entry<measure_device>);
    define(env, exports, "createBuffer", entry<create_buffer>);
    define(env, exports, "createWeight", entry<create_weight>);
    define(env, exports, "bufferFacts", entry<buffer_facts>);
    define(env, exports, "writeBuffer", entry<write_buffer>);
    define(env, exports, "readBuffer", entry<read_buffer>);
    define(env, exports, "writeWeight", entry<write_weight>);
    define(env, exports, "createProgram", entry<create_program>);
    define(env, exports, "programFacts", entry<program_facts>);
    define(env, exports, "runProgram", entry<run_program>);
    define(env, exports, "cancelRun", entry<cancel_run>);
    define(env, exports, "readOutput", entry<read_output>);
    define(env, exports, "dispose", entry<dispose>);
    define(env, exports, "failAllocation", entry<fail_allocation>);
    return exports;
  });
}

}  // namespace
}  // namespace hass

NAPI_MODULE_INIT() { return hass::initialise(env, exports); }
