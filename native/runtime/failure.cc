#include "failure.h"

#include <cstdio>

namespace hass {
namespace {

hass_error format_error(hass_status status, const char *format, va_list arguments) {
  hass_error error;
  error.status = status;
  error.op = error.operand = error.tensor = error.index = error.value = error.limit = error.bytes = HASS_ABSENT;
  std::vsnprintf(error.message, sizeof error.message, format, arguments);
  return error;
}

}  // namespace

hass_error make_error(hass_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const hass_error error = format_error(status, format, arguments);
  va_end(arguments);
  return error;
}

void fail(hass_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const Failure failure{format_error(status, format, arguments)};
  va_end(arguments);
  throw failure;
}

}  // namespace hass
