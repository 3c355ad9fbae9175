#include "environment.h"

#include <chrono>

namespace hass {

Device::Device(const hass_backend &on, const char *isa, std::int32_t threads)
    : Object(ObjectKind::device), backend(&on) {
  hass_error error;
  if (backend->create_device(isa, threads, &device, &error) != HASS_STATUS_OK) throw Failure{error};
  try {
    commands_ = new CommandThread();
  } catch (...) {
    backend->destroy_device(device);
    throw;
  }
}

Device::~Device() {
  close();
  backend->destroy_device(device);
}

void Device::close() {
  if (!commands_) return;
  backend->interrupt(device, 1);
  delete std::exchange(commands_, nullptr);
}

void Device::submit(PendingJob *job) { commands_->submit(job); }

void PendingJob::execute() noexcept {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point started = Clock::now();
  work();
  device->add_busy(std::chrono::duration<double, std::milli>(Clock::now() - started).count());
}

void PendingJob::finish() noexcept {
  // Fails only when the environment is closing, and then `Environment::close` frees what is pending.
  napi_call_threadsafe_function(environment.finished_, this, napi_tsfn_nonblocking);
}

void PendingJob::report(napi_env env) {
  if (status == HASS_STATUS_CANCELLED && device->is_closed()) {
    status = HASS_STATUS_DISPOSED;
    error = make_error(status, "The device was disposed before the work was done.");
  }
  napi_value value = nullptr;
  const hass_status made = guarded(&error, [&] {
    if (status == HASS_STATUS_OK) value = result(env);
  });
  if (made != HASS_STATUS_OK) status = made;
  if (status == HASS_STATUS_OK) {
    napi_resolve_deferred(env, deferred, value);
  } else {
    napi_reject_deferred(env, deferred, error_value(env, error));
  }
}

Environment::Environment(napi_env env) {
  require(napi_create_threadsafe_function(env, nullptr, nullptr, text_value(env, "hass"), 0, 1, nullptr, nullptr, this,
                                          on_finished, &finished_));
  require(napi_unref_threadsafe_function(env, finished_));
  // Hooks run last in, first out: registered after the thread-safe function's own, this one joins the threads that
  // call it while it still exists.
  require(napi_add_env_cleanup_hook(env, [](void *self) { static_cast<Environment *>(self)->close(); }, this));
  require(napi_set_instance_data(
      env, this, [](napi_env, void *self, void *) { delete static_cast<Environment *>(self); }, nullptr));
}

Environment &Environment::of(napi_env env) {
  void *self = nullptr;
  require(napi_get_instance_data(env, &self));
  return *static_cast<Environment *>(self);
}

double Environment::add(Ref<Object> object) {
  objects_.emplace(next_handle_, std::move(object));
  return static_cast<double>(next_handle_++);
}

void Environment::check_handle(double handle) const {
  if (handle >= 1 && handle < static_cast<double>(next_handle_) && handle == static_cast<double>(std::uint64_t(handle))) {
    return;
  }
  fail(HASS_STATUS_INVALID_ARGUMENT, "%g is no handle of this thread.", handle);
}

void Environment::remove(double handle) {
  check_handle(handle);
  const auto found = objects_.find(static_cast<std::uint64_t>(handle));
  if (found == objects_.end()) return;
  const Ref<Object> object = std::move(found->second);
  objects_.erase(found);
  if (object->kind == ObjectKind::device) static_cast<Device *>(object.get())->close();
}

Object &Environment::find(double handle, ObjectKind kind) const {
  check_handle(handle);
  const auto found = objects_.find(static_cast<std::uint64_t>(handle));
  if (found == objects_.end()) fail(HASS_STATUS_DISPOSED, "Handle %.0f has been disposed.", handle);
  if (found->second->kind != kind) fail(HASS_STATUS_INVALID_ARGUMENT, "Handle %.0f is of another kind.", handle);
  return *found->second.get();
}

namespace {

void check_open(const Device &device) {
  if (device.is_closed()) fail(HASS_STATUS_DISPOSED, "The device has been disposed.");
}

}  // namespace

Device &Environment::device(double handle) const {
  return static_cast<Device &>(find(handle, ObjectKind::device));
}

Buffer &Environment::buffer(double handle) const {
  auto &buffer = static_cast<Buffer &>(find(handle, ObjectKind::buffer));
  check_open(*buffer.owner.get());
  return buffer;
}

BoundProgram &Environment::program(double handle) const {
  auto &program = static_cast<BoundProgram &>(find(handle, ObjectKind::program));
  check_open(*program.owner.get());
  return program;
}

napi_value Environment::submit(napi_env env, std::unique_ptr<PendingJob> job) {
  napi_value promise;
  require(napi_create_promise(env, &job->deferred, &promise));
  adopt(env, job.get());
  job->device->submit(job.get());
  job.release();
  return promise;
}

void Environment::adopt(napi_env env, PendingJob *job) {
  // What is pending keeps the process alive.
  if (!pending_) napi_ref_threadsafe_function(env, finished_);
  job->next = pending_;
  if (pending_) pending_->previous = job;
  pending_ = job;
}

void Environment::release(PendingJob *job) {
  (job->previous ? job->previous->next : pending_) = job->next;
  if (job->next) job->next->previous = job->previous;
  delete job;
}

void Environment::cancel(const Device &device, double run_id) {
  for (PendingJob *job = pending_; job; job = job->next) job->cancel(device, run_id);
}

void Environment::check_idle(const Object &object) const {
  for (const PendingJob *job = pending_; job; job = job->next) {
    if (job->uses(object)) fail(HASS_STATUS_BUSY, "A run that has not ended uses this: await it first.");
  }
}

void Environment::on_finished(napi_env env, napi_value, void *context, void *data) {
  auto &self = *static_cast<Environment *>(context);
  // Without an environment all jobs are gone already, and `self` may be.
  if (!env || self.is_closed_) return;
  auto *job = static_cast<PendingJob *>(data);
  job->report(env);
  self.release(job);
  if (!self.pending_) napi_unref_threadsafe_function(env, self.finished_);
}

void Environment::close() {
  is_closed_ = true;
  for (auto &[handle, object] : objects_) {
    if (object->kind == ObjectKind::device) static_cast<Device *>(object.get())->close();
  }
  while (pending_) release(pending_);
  objects_.clear();
}

}  // namespace hass
