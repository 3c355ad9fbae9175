#include "jobs.h"

#include <cstring>

namespace hass {

RunJob::RunJob(Environment &owner, const Ref<BoundProgram> &program, const std::int32_t *dims, std::size_t num_dims,
               const unsigned char *parameters, double run_id)
    : PendingJob(owner, program->owner), program_(program), dims_(dims, dims + num_dims), run_id_(run_id) {
  const hass_backend &backend = *device->backend;
  if (backend.check_dims(program->program, dims_.data(), num_dims, &error) != HASS_STATUS_OK) throw Failure{error};
  parameters_ = std::move(program->spare_parameters);
  if (!parameters_.data()) parameters_ = Block(program->facts.parameter_bytes);
  for (std::size_t i = 0; i < program->input_offsets.size(); i++) {
    const std::int64_t offset = program->input_offsets[i];
    if (offset < 0) continue;
    const std::uint64_t bytes = backend.input_bytes(program->program, static_cast<std::int32_t>(i), dims_.data());
    if (bytes != 0) std::memcpy(parameters_.data() + offset, parameters + offset, bytes);
  }
}

RunJob::~RunJob() { program_->spare_parameters = std::move(parameters_); }

void RunJob::work() noexcept {
  status = device->backend->run(program_->program, dims_.data(), dims_.size(), parameters_.data(), &is_cancelled_,
                                &error);
}

void RunJob::cancel(const Device &on, double run_id) {
  if (device.get() == &on && run_id == run_id_) __atomic_store_n(&is_cancelled_, 1, __ATOMIC_RELAXED);
}

bool RunJob::uses(const Object &object) const {
  if (program_.get() == &object) return true;
  for (const Ref<Buffer> &buffer : program_->buffers) {
    if (buffer.get() == &object) return true;
  }
  return false;
}

WriteWeightJob::WriteWeightJob(Environment &owner, const Ref<Buffer> &weight, hass_format format,
                               std::int32_t first_row, std::int32_t num_rows, const Arguments::Bytes &source)
    : PendingJob(owner, weight->owner), weight_(weight), format_(format), first_row_(first_row), num_rows_(num_rows),
      source_(source.bytes) {
  if (source.bytes != 0) std::memcpy(source_.data(), source.data, source.bytes);
}

void WriteWeightJob::work() noexcept {
  status = device->backend->write_weight(weight_->buffer, format_, first_row_, num_rows_, source_.data(),
                                         source_.size(), &error);
}

void MeasureJob::work() noexcept { status = device->backend->measure(device->device, &rates_, &error); }

napi_value MeasureJob::result(napi_env env) const {
  napi_value object;
  require(napi_create_object(env, &object));
  set_property(env, object, "readGBs", number_value(env, rates_.read_gbs));
  set_property(env, object, "int8GMACs", number_value(env, rates_.int8_gmacs));
  set_property(env, object, "q4GMACs", number_value(env, rates_.q4_gmacs));
  set_property(env, object, "fp32GMACs", number_value(env, rates_.fp32_gmacs));
  set_property(env, object, "dispatchUs", number_value(env, rates_.dispatch_us));
  return object;
}

}  // namespace hass
