// The CPU's side of the C ABI.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "backend_checks.h"
#include "cpu_device.h"
#include "cpu_program.h"
#include "failure.h"
#include "handles.h"
#include "measure.h"

using namespace hass;

namespace {

hass_status create_device(const char *isa, std::int32_t threads, hass_device **device, hass_error *error) {
  return guarded(error, [&] {
    if (threads < 1 || threads > HASS_MAX_THREADS) {
      fail(HASS_STATUS_INVALID_ARGUMENT, "%d threads, expected 1 to %d.", threads, HASS_MAX_THREADS);
    }
    const hass_cpu_kernels *kernels = hass_cpu_select(isa);
    if (!kernels) {
      fail(HASS_STATUS_UNSUPPORTED, "The instruction set \"%.20s\" is not one of this build and processor.", isa);
    }
    *device = new hass_device(kernels, threads);
  });
}

void destroy_device(hass_device *device) { delete device; }

void device_facts(const hass_device *device, hass_device_facts *facts) {
  *facts = {};
  facts->isa = device->kernels->isa;
  facts->threads = device->pool.threads();
  facts->memory_bytes = device->memory_bytes.load(std::memory_order_relaxed);
}

hass_status measure_device(hass_device *device, hass_rates *rates, hass_error *error) {
  return guarded(error, [&] {
    *rates = measure(device);
    if (device->pool.is_interrupted()) fail(HASS_STATUS_CANCELLED, "The measurement was interrupted.");
  });
}

void interrupt(hass_device *device, std::int32_t is_interrupted) { device->pool.interrupt(is_interrupted != 0); }

hass_status create_buffer(hass_device *device, std::uint64_t bytes, hass_buffer **buffer, hass_error *error) {
  const hass_status status = guarded(error, [&] {
    if (bytes > HASS_MAX_BYTES) fail(HASS_STATUS_TOO_LARGE, "A buffer has more bytes than can be addressed.");
    *buffer = new hass_buffer(device, bytes);
  });
  if (status == HASS_STATUS_OUT_OF_MEMORY) error->bytes = static_cast<std::int64_t>(bytes);
  return status;
}

hass_status create_weight(hass_device *device, std::int32_t dtype, std::int32_t rows, std::int32_t columns,
                          hass_buffer **buffer, hass_error *error) {
  hass_status status = guarded(error, [&] { check_weight_shape(dtype, rows, columns); });
  if (status != HASS_STATUS_OK) return status;
  status = create_buffer(device, hass_cpu_packed_bytes(dtype, rows, columns), buffer, error);
  if (status != HASS_STATUS_OK) return status;
  (*buffer)->dtype = dtype;
  (*buffer)->rows = rows;
  (*buffer)->columns = columns;
  return status;
}

hass_status write_buffer(hass_buffer *buffer, std::uint64_t offset, const void *source, std::uint64_t bytes,
                         hass_error *error) {
  return guarded(error, [&] {
    check_plain_range(buffer->facts(), offset, bytes);
    if (bytes != 0) std::memcpy(buffer->data() + offset, source, bytes);
  });
}

hass_status read_buffer(const hass_buffer *buffer, std::uint64_t offset, void *target, std::uint64_t bytes,
                        hass_error *error) {
  return guarded(error, [&] {
    check_plain_range(buffer->facts(), offset, bytes);
    if (bytes != 0) std::memcpy(target, buffer->data() + offset, bytes);
  });
}

// Rows of a weight that threads pack side by side, each a few panels: no two write the same bytes.
struct PackJob {
  hass_buffer *buffer;
  hass_format format;
  std::int32_t first_row, num_rows, rows_per_chunk;
  const unsigned char *source;
  std::size_t row_bytes;
  std::atomic<hass_status> status{HASS_STATUS_OK};
};

constexpr std::int64_t packed_elements_per_chunk = 1 << 16;
// A multiple of every panel's width.
constexpr std::int32_t packed_rows_step = 16;

void pack_chunk(void *context, std::int32_t chunk, std::int32_t) {
  PackJob &job = *static_cast<PackJob *>(context);
  // Chunks end at multiples of the weight's own rows, wherever the first one begins.
  const std::int32_t origin = job.first_row / packed_rows_step * packed_rows_step + chunk * job.rows_per_chunk;
  const std::int32_t begin = std::max(origin, job.first_row);
  const std::int32_t end = std::min(origin + job.rows_per_chunk, job.first_row + job.num_rows);
  if (begin >= end) return;
  const hass_status status = hass_cpu_pack(
      job.buffer->dtype, job.buffer->rows, job.buffer->columns, job.format, begin, end - begin,
      job.source + static_cast<std::size_t>(begin - job.first_row) * job.row_bytes, job.buffer->data());
  if (status != HASS_STATUS_OK) job.status.store(status, std::memory_order_relaxed);
}

hass_status pack_rows(hass_buffer *buffer, hass_format format, std::int32_t first_row, std::int32_t num_rows,
                      const void *source, std::size_t row_bytes) {
  const std::int64_t columns = buffer->columns;
  const std::int64_t steps = std::max<std::int64_t>(packed_elements_per_chunk / columns / packed_rows_step, 1);
  // As many chunks as one run of the pool can take, however large the weight.
  const std::int64_t most = (num_rows / 60000 / packed_rows_step + 1) * packed_rows_step;
  PackJob job{buffer, format, first_row, num_rows, static_cast<std::int32_t>(std::max(steps * packed_rows_step, most)),
              static_cast<const unsigned char *>(source), row_bytes};
  const std::int32_t span = first_row % packed_rows_step + num_rows;
  hass_device *device = buffer->block.device();
  device->pool.run((span + job.rows_per_chunk - 1) / job.rows_per_chunk, pack_chunk, &job);
  if (device->pool.is_interrupted()) return HASS_STATUS_CANCELLED;
  return job.status.load(std::memory_order_relaxed);
}

hass_status write_weight(hass_buffer *buffer, std::int32_t format, std::int32_t first_row, std::int32_t num_rows,
                         const void *source, std::uint64_t bytes, hass_error *error) {
  return guarded(error, [&] {
    const auto file_format = static_cast<hass_format>(format);
    check_weight_rows(buffer->facts(), file_format, first_row, num_rows, bytes);
    const hass_status status = num_rows == 0 ? HASS_STATUS_OK
                                             : pack_rows(buffer, file_format, first_row, num_rows, source,
                                                         hass_cpu_format_row_bytes(file_format, buffer->columns));
    if (status == HASS_STATUS_CANCELLED) fail(status, "The weight was being written when its device was disposed of.");
    if (status == HASS_STATUS_UNSUPPORTED) fail(status, "The weight's dtype %d cannot be made of these bytes.", buffer->dtype);
    if (status != HASS_STATUS_OK) fail(status, "A block of the weight's bytes cannot be represented.");
  });
}

hass_status create_program(hass_device *device, const std::int32_t *words, std::size_t num_words,
                           hass_buffer *const *bindings, std::size_t num_bindings, hass_program **program,
                           hass_error *error) {
  return guarded(error, [&] {
    auto created = std::unique_ptr<hass_program>(
        new hass_program(device, read_program(words, num_words), bindings, num_bindings));
    device->memory_bytes.fetch_add(created->plan.arena_bytes, std::memory_order_relaxed);
    *program = created.release();
  });
}

void destroy_program(hass_program *program) {
  if (program) program->device->memory_bytes.fetch_sub(program->plan.arena_bytes, std::memory_order_relaxed);
  delete program;
}

hass_status run(hass_program *program, const std::int32_t *dims, std::size_t num_dims, const void *parameters,
                const std::int32_t *cancelled, hass_error *error) {
  return guarded(error, [&] {
    program->plan.check_dims(dims, num_dims);
    program->run(dims, static_cast<const unsigned char *>(parameters), cancelled);
  });
}

hass_status read_output(const hass_program *program, std::int32_t tensor, std::uint64_t first_element, void *target,
                        std::uint64_t bytes, hass_error *error) {
  return guarded(error, [&] { program->read_output(tensor, first_element, target, bytes); });
}

const hass_backend backend = {
    HASS_BACKEND_ABI, "cpu",          hass_cpu_isa_names, create_device,  destroy_device, device_facts,
    measure_device,   interrupt,      create_buffer,      create_weight,  destroy_buffer, buffer_facts,
    write_buffer,     read_buffer,    write_weight,       create_program, destroy_program, program_facts,
    input_offset,     check_dims,     input_bytes,        run,            read_output,
};

}  // namespace

extern "C" const hass_backend *hass_cpu_backend(void) { return &backend; }
