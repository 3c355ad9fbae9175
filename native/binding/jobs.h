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
  void cancel(const Device &on, double run_id) override;
  bool uses(const Object &object) const override;

 protected:
  void work() noexcept override;

 private:
  const Ref<BoundProgram> program_;
  const Vector<std::int32_t> dims_;
  Block parameters_;
  const double run_id_;
  std::int32_t is_cancelled_ = 0;  // atomically
};

// Packs rows of a weight; the bytes are copied.
class WriteWeightJob : public PendingJob {
 public:
  WriteWeightJob(Environment &environment, const Ref<Buffer> &weight, hass_format format, std::int32_t first_row,
                 std::int32_t num_rows, const Arguments::Bytes &source);

 protected:
  void work() noexcept override;

 private:
  const Ref<Buffer> weight_;
  const hass_format format_;
  const std::int32_t first_row_, num_rows_;
  const Block source_;
};

class MeasureJob : public PendingJob {
 public:
  using PendingJob::PendingJob;

 protected:
  void work() noexcept override;
  napi_value result(napi_env env) const override;

 private:
  hass_rates rates_{};
};

}  // namespace hass
