// The GPU's side of the C ABI.
#include <memory>

#include "../runtime/backend_checks.h"
#include "fragments.h"
#include "gpu_program.h"
#include "weights.h"
// Of the buffers and programs above.
#include "../runtime/handles.h"

using namespace hass;
using namespace hass::cuda;

namespace {

hass_status create_device(const char *isa, std::int32_t, hass_device **device, hass_error *error) {
  return guarded(error, [&] {
    const Architecture chosen = select_architecture(isa);
    check_cuda(cudaSetDevice(chosen.ordinal), "Choosing the device");
    *device = new hass_device(chosen);
  });
}

void destroy_device(hass_device *device) {
  if (device) cudaSetDevice(device->architecture.ordinal);
  delete device;
}

// One thread of the host, the one that calls run.
void device_facts(const hass_device *device, hass_device_facts *facts) {
  const Architecture &own = device->architecture;
  *facts = {own.isa, 1, device->memory_bytes.load(std::memory_order_relaxed), own.name[0] ? own.name : nullptr, own.driver, own.memory_bytes};
}

hass_status measure(hass_device *, hass_rates *, hass_error *error) {
  return guarded(error, [] { fail(HASS_STATUS_UNSUPPORTED, "A CUDA device measures no rates: time a program on it."); });
}

void interrupt(hass_device *device, std::int32_t is_interrupted) { device->is_interrupted.store(is_interrupted != 0); }

hass_status create_buffer(hass_device *device, std::uint64_t bytes, hass_buffer **buffer, hass_error *error) {
  const hass_status status = guarded(error, [&] {
    if (bytes > HASS_MAX_BYTES) fail(HASS_STATUS_TOO_LARGE, "A buffer has more bytes than can be addressed.");
    device->enter();
    std::unique_ptr<hass_buffer> created(new hass_buffer(device, bytes));
    if (bytes != 0) {
      check_cuda(cudaMemsetAsync(created->data(), 0, static_cast<std::size_t>(bytes), device->transfers),
                 "Clearing a buffer");
      device->transfers.wait("Clearing a buffer");
    }
    *buffer = created.release();
  });
  if (status == HASS_STATUS_OUT_OF_MEMORY) error->bytes = static_cast<std::int64_t>(bytes);
  return status;
}

hass_status create_weight(hass_device *device, std::int32_t dtype, std::int32_t rows, std::int32_t columns,
                          hass_buffer **buffer, hass_error *error) {
  hass_status status = guarded(error, [&] { check_weight_shape(dtype, rows, columns); });
  if (status != HASS_STATUS_OK) return status;
  status = create_buffer(device, static_cast<std::uint64_t>(weight_bytes(dtype, rows, columns)), buffer, error);
  if (status != HASS_STATUS_OK) return status;
  (*buffer)->dtype = dtype;
  (*buffer)->rows = rows;
  (*buffer)->columns = columns;
  return status;
}

void transfer(const hass_buffer *buffer, void *target, const void *source, std::uint64_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return;
  buffer->device->enter();
  check_cuda(cudaMemcpyAsync(target, source, static_cast<std::size_t>(bytes), kind, buffer->device->transfers),
             "Copying a buffer");
  buffer->device->transfers.wait("Copying a buffer");
}

hass_status write_buffer(hass_buffer *buffer, std::uint64_t offset, const void *source, std::uint64_t bytes,
                         hass_error *error) {
  return guarded(error, [&] {
    check_plain_range(buffer->facts(), offset, bytes);
    transfer(buffer, buffer->data() + offset, source, bytes, cudaMemcpyHostToDevice);
  });
}

hass_status read_buffer(const hass_buffer *buffer, std::uint64_t offset, void *target, std::uint64_t bytes,
                        hass_error *error) {
  return guarded(error, [&] {
    check_plain_range(buffer->facts(), offset, bytes);
    transfer(buffer, target, buffer->data() + offset, bytes, cudaMemcpyDeviceToHost);
  });
}

hass_status write_weight(hass_buffer *buffer, std::int32_t format, std::int32_t first_row, std::int32_t num_rows,
                         const void *source, std::uint64_t bytes, hass_error *error) {
  return guarded(error, [&] {
    const auto file_format = static_cast<hass_format>(format);
    check_weight_rows(buffer->facts(), file_format, first_row, num_rows, bytes);
    buffer->device->enter();
    write_weight_rows(buffer, file_format, first_row, num_rows, source);
  });
}

hass_status create_program(hass_device *device, const std::int32_t *words, std::size_t num_words,
                           hass_buffer *const *bindings, std::size_t num_bindings, hass_program **program,
                           hass_error *error) {
  return guarded(error, [&] {
    device->enter();
    *program = new hass_program(device, read_program(words, num_words), bindings, num_bindings);
  });
}

void destroy_program(hass_program *program) {
  if (program) cudaSetDevice(program->device->architecture.ordinal);
  delete program;
}

hass_status run(hass_program *program, const std::int32_t *dims, std::size_t num_dims, const void *parameters,
                const std::int32_t *cancelled, hass_error *error) {
  return guarded(error, [&] {
    program->plan.check_dims(dims, num_dims);
    program->device->enter();
    program->run(dims, static_cast<const unsigned char *>(parameters), cancelled);
  });
}

hass_status read_output(const hass_program *program, std::int32_t tensor, std::uint64_t first_element, void *target,
                        std::uint64_t bytes, hass_error *error) {
  return guarded(error, [&] {
    program->device->enter();
    program->read_output(tensor, first_element, target, bytes);
  });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const hass_backend *hass_backend_entry(void) {
  static const hass_backend backend = {
      HASS_BACKEND_ABI, backend_name,   architecture_names, create_device,  destroy_device,  device_facts,
      measure,          interrupt,      create_buffer,      create_weight,  destroy_buffer,  buffer_facts,
      write_buffer,     read_buffer,    write_weight,       create_program, destroy_program, program_facts,
      input_offset,     check_dims,     input_bytes,        run,            read_output,
  };
  return &backend;
}
