// What runs on a device's command thread.
#pragma once

#include "environment.h"

namespace hass {

class RunJob : public PendingJob {
 public:
  // Copies what the dimensions cover of the parameters. Throws Failure.
  RunJob(Environment &environment, const Ref<BoundProgram> &program, const std::int32_t *dims, std::size_t num_dims,
         const unsigned char *parameters, double run_id);
  ~RunJob() override;
  void execute() noexcept override;
  void cancel(const Device &on, double run_id) override;
  bool uses(const Object &object) const override;

 private:
  const Ref<BoundProgram> program_;
  const Vector<std::int32_t> dims_;
  Block parameters_;
  const double run_id_;
  std::int32_t is_cancelled_ = 0;  // atomically
};

class MeasureJob : public PendingJob {
 public:
  using PendingJob::PendingJob;
  void execute() noexcept override;

 protected:
  napi_value result(napi_env env) const override;

 private:
  hass_rates rates_{};
};

}  // namespace hass
