// Between JavaScript values and native ones. Whatever is wrong with an argument becomes a Failure, thrown to JavaScript
// at the edge by `call_guarded`.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include "../runtime/failure.h"
#include "../runtime/memory.h"

namespace hass {

// A call into N-API that can only fail if the engine is being torn down or out of memory.
void require(napi_status status);

// The arguments of one call, at most 6; absent ones are undefined.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info);

  struct Bytes {
    void *data;
    std::size_t bytes, elements, element_bytes;
  };
  struct Text {
    char characters[32];
  };
  struct Path {
    char characters[4096];
  };

  double number(int index, const char *name) const;
  std::int64_t integer(int index, const char *name, std::int64_t smallest, std::int64_t largest) const;
  Text text(int index, const char *name) const;
  // Empty where the argument is absent.
  Path path(int index, const char *name) const;
  Bytes view(int index, const char *name) const;  // any typed array or DataView
  Bytes array(int index, const char *name, napi_typedarray_type type) const;

 private:
  void copy_string(int index, const char *name, char *characters, std::size_t capacity) const;

  napi_env env_;
  napi_value values_[6];
};

napi_value number_value(napi_env env, double value);
napi_value text_value(napi_env env, const char *text);
napi_value undefined_value(napi_env env);
void set_property(napi_env env, napi_value object, const char *name, napi_value value);

// An Error with `code` and `details`. Null where even that cannot be made.
napi_value error_value(napi_env env, const hass_error &error);

// Runs a function of the addon; a Failure is thrown to JavaScript.
template <typename Body> napi_value call_guarded(napi_env env, Body body) noexcept {
  napi_value result = nullptr;
  hass_error error;
  if (guarded(&error, [&] { result = body(); }) == HASS_STATUS_OK) return result;
  bool is_pending = false;
  napi_is_exception_pending(env, &is_pending);
  if (!is_pending) napi_throw(env, error_value(env, error));
  return nullptr;
}

}  // namespace hass
