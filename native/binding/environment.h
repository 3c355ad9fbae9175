// Everything native that one JavaScript environment (main thread or worker) owns, by handle.
//
// All of it is touched on the environment's own thread only; what runs elsewhere is a job, and comes back through the
// environment's thread-safe function. Objects are counted: a program holds its buffers, a job its program.
#pragma once

#include <atomic>
#include <memory>
#include <unordered_map>
#include <utility>

#include "../runtime/command_thread.h"
#include "values.h"

namespace hass {

class Environment;

enum class ObjectKind : std::uint8_t { device, buffer, program };

class Object : public Managed {
 public:
  explicit Object(ObjectKind own_kind) : kind(own_kind) {}
  virtual ~Object() = default;
  Object(const Object &) = delete;
  Object &operator=(const Object &) = delete;

  const ObjectKind kind;

 private:
  template <typename T> friend class Ref;
  int references_ = 0;
};

template <typename T> class Ref {
 public:
  Ref() = default;
  explicit Ref(T *object) : object_(object) {
    if (object_) object_->references_++;
  }
  Ref(const Ref &other) : Ref(other.object_) {}
  Ref(Ref &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref &operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ && --object_->references_ == 0) delete object_;
  }
  T *operator->() const { return object_; }
  T *get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T *object_ = nullptr;
};

class PendingJob;

class Device : public Object {
 public:
  Device(const hass_backend &on, const char *isa, std::int32_t threads);
  ~Device() override;
  // Ends the command thread; jobs that had not finished report DISPOSED.
  void close();
  bool is_closed() const { return !commands_; }
  void submit(PendingJob *job);
  // Milliseconds that its jobs have run. Only the command thread adds.
  double busy_ms() const { return busy_ms_.load(std::memory_order_relaxed); }
  void add_busy(double ms) { busy_ms_.store(busy_ms() + ms, std::memory_order_relaxed); }

  const hass_backend *const backend;
  hass_device *device = nullptr;

 private:
  CommandThread *commands_ = nullptr;
  std::atomic<double> busy_ms_{0};
};

class Buffer : public Object {
 public:
  explicit Buffer(const Ref<Device> &on) : Object(ObjectKind::buffer), owner(on) {}
  ~Buffer() override {
    if (buffer) owner->backend->destroy_buffer(buffer);
  }
  const Ref<Device> owner;
  hass_buffer *buffer = nullptr;
};

class BoundProgram : public Object {
 public:
  explicit BoundProgram(const Ref<Device> &on) : Object(ObjectKind::program), owner(on) {}
  ~BoundProgram() override {
    if (program) owner->backend->destroy_program(program);
  }
  const Ref<Device> owner;
  hass_program *program = nullptr;
  hass_program_facts facts{};
  Vector<Ref<Buffer>> buffers;
  Vector<std::int64_t> input_offsets;
  // Memory of an earlier run's parameters, for the next one.
  Block spare_parameters;
};

// A job with a promise. Lives from its submission until it has been reported, or until the environment ends.
class PendingJob : public Job, public Managed {
 public:
  PendingJob(Environment &owner, const Ref<Device> &on) : environment(owner), device(on) {}
  void execute() noexcept final;
  void finish() noexcept override;
  // Settles the promise, on the environment's thread.
  void report(napi_env env);
  virtual void cancel(const Device &, double) {}
  virtual bool uses(const Object &) const { return false; }

  Environment &environment;
  const Ref<Device> device;
  napi_deferred deferred = nullptr;
  hass_status status = HASS_STATUS_OK;
  hass_error error{};
  PendingJob *next = nullptr, *previous = nullptr;

 protected:
  virtual void work() noexcept = 0;
  virtual napi_value result(napi_env env) const { return undefined_value(env); }
};

class Environment : public Managed {
 public:
  // Registers the clean-up with the environment. Throws Failure.
  explicit Environment(napi_env env);
  static Environment &of(napi_env env);

  double add(Ref<Object> object);
  void remove(double handle);
  Device &device(double handle) const;
  Buffer &buffer(double handle) const;
  BoundProgram &program(double handle) const;

  // Makes the promise and submits.
  napi_value submit(napi_env env, std::unique_ptr<PendingJob> job);
  void cancel(const Device &device, double run_id);
  // Throws BUSY if a pending job uses it.
  void check_idle(const Object &object) const;

 private:
  friend class PendingJob;
  Object &find(double handle, ObjectKind kind) const;
  void check_handle(double handle) const;
  void adopt(napi_env env, PendingJob *job);
  void release(PendingJob *job);
  void close();
  static void on_finished(napi_env env, napi_value, void *context, void *data);

  using Entry = std::pair<const std::uint64_t, Ref<Object>>;
  std::unordered_map<std::uint64_t, Ref<Object>, std::hash<std::uint64_t>, std::equal_to<std::uint64_t>,
                     Allocator<Entry>>
      objects_;
  std::uint64_t next_handle_ = 1;
  // Submitted and not yet reported to JavaScript.
  PendingJob *pending_ = nullptr;
  napi_threadsafe_function finished_ = nullptr;
  bool is_closed_ = false;
};

}  // namespace hass
