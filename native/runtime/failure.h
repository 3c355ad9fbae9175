// Failures inside the runtime are exceptions; `guarded` turns them into the C ABI's statuses.
#pragma once

#include <cstdarg>
#include <new>
#include <system_error>

#include "../include/hass_backend.h"

namespace hass {

// Fields that say nothing are HASS_ABSENT.
hass_error make_error(hass_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct Failure {
  hass_error error;
};

[[noreturn]] void fail(hass_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

template <typename Body> hass_status guarded(hass_error *error, Body body) noexcept {
  try {
    body();
    return HASS_STATUS_OK;
  } catch (const Failure &failure) {
    if (error) *error = failure.error;
    return failure.error.status;
  } catch (const std::bad_alloc &) {
    if (error) *error = make_error(HASS_STATUS_OUT_OF_MEMORY, "An allocation failed.");
    return HASS_STATUS_OUT_OF_MEMORY;
  } catch (const std::system_error &) {
    if (error) *error = make_error(HASS_STATUS_OUT_OF_MEMORY, "The system refused a thread.");
    return HASS_STATUS_OUT_OF_MEMORY;
  } catch (...) {
    if (error) *error = make_error(HASS_STATUS_INTERNAL, "An unexpected exception was caught.");
    return HASS_STATUS_INTERNAL;
  }
}

}  // namespace hass
