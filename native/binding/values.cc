#include "values.h"

#include <cmath>

namespace hass {
namespace {

constexpr double max_safe_integer = 9007199254740991.0;

const char *code_of(hass_status status) {
  switch (status) {
    case HASS_STATUS_INVALID_ARGUMENT: return "HASS_ERR_INVALID_ARGUMENT";
    case HASS_STATUS_DISPOSED: return "HASS_ERR_DISPOSED";
    case HASS_STATUS_OUT_OF_MEMORY: return "HASS_ERR_OUT_OF_MEMORY";
    case HASS_STATUS_INVALID_PROGRAM: return "HASS_ERR_INVALID_PROGRAM";
    case HASS_STATUS_INVALID_INPUT: return "HASS_ERR_INVALID_INPUT";
    case HASS_STATUS_TOO_LARGE: return "HASS_ERR_TOO_LARGE";
    case HASS_STATUS_UNSUPPORTED: return "HASS_ERR_UNSUPPORTED";
    case HASS_STATUS_BUSY: return "HASS_ERR_BUSY";
    case HASS_STATUS_CANCELLED: return "HASS_ERR_CANCELLED";
    default: return "HASS_ERR_INTERNAL";
  }
}

std::size_t bytes_of(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 0;
  }
}

[[noreturn]] void refuse(const char *name, const char *expected) {
  fail(HASS_STATUS_INVALID_ARGUMENT, "%s is not %s.", name, expected);
}

}  // namespace

void require(napi_status status) {
  if (status != napi_ok) fail(HASS_STATUS_INTERNAL, "N-API answered with status %d.", static_cast<int>(status));
}

Arguments::Arguments(napi_env env, napi_callback_info info) : env_(env) {
  std::size_t count = 6;
  require(napi_get_cb_info(env, info, &count, values_, nullptr, nullptr));
}

double Arguments::number(int index, const char *name) const {
  double value;
  if (napi_get_value_double(env_, values_[index], &value) != napi_ok) refuse(name, "a number");
  return value;
}

std::int64_t Arguments::integer(int index, const char *name, std::int64_t smallest, std::int64_t largest) const {
  const double value = number(index, name);
  const bool is_integer = value == std::floor(value) && std::fabs(value) <= max_safe_integer;
  if (is_integer && value >= static_cast<double>(smallest) && value <= static_cast<double>(largest)) {
    return static_cast<std::int64_t>(value);
  }
  hass_error error = make_error(HASS_STATUS_INVALID_ARGUMENT, "%s is %g, expected an integer from %lld to %lld.", name,
                                value, static_cast<long long>(smallest), static_cast<long long>(largest));
  error.limit = largest;
  throw Failure{error};
}

void Arguments::copy_string(int index, const char *name, char *characters, std::size_t capacity) const {
  std::size_t length = 0;
  // Asked for by length first, so that nothing is cut in silence.
  if (napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) != napi_ok) refuse(name, "a string");
  if (length >= capacity) fail(HASS_STATUS_UNSUPPORTED, "%s is a string of %zu bytes.", name, length);
  require(napi_get_value_string_utf8(env_, values_[index], characters, capacity, &length));
}

Arguments::Text Arguments::text(int index, const char *name) const {
  Text text;
  copy_string(index, name, text.characters, sizeof text.characters);
  return text;
}

Arguments::Path Arguments::path(int index, const char *name) const {
  Path path;
  napi_valuetype type;
  require(napi_typeof(env_, values_[index], &type));
  path.characters[0] = 0;
  if (type == napi_undefined) return path;
  copy_string(index, name, path.characters, sizeof path.characters);
  return path;
}

Arguments::Bytes Arguments::view(int index, const char *name) const {
  Bytes bytes{};
  napi_value buffer = nullptr;
  bool is_typed_array = false, is_data_view = false;
  require(napi_is_typedarray(env_, values_[index], &is_typed_array));
  require(napi_is_dataview(env_, values_[index], &is_data_view));
  if (is_typed_array) {
    napi_typedarray_type type;
    require(napi_get_typedarray_info(env_, values_[index], &type, &bytes.elements, &bytes.data, &buffer, nullptr));
    bytes.element_bytes = bytes_of(type);
    if (bytes.element_bytes == 0) refuse(name, "a view of known elements");
  } else if (is_data_view) {
    require(napi_get_dataview_info(env_, values_[index], &bytes.elements, &bytes.data, &buffer, nullptr));
    bytes.element_bytes = 1;
  } else {
    refuse(name, "a typed array or DataView");
  }
  bool is_detached = false;
  napi_is_detached_arraybuffer(env_, buffer, &is_detached);
  if (is_detached) fail(HASS_STATUS_INVALID_ARGUMENT, "%s is a view of a detached ArrayBuffer.", name);
  bytes.bytes = bytes.elements * bytes.element_bytes;
  if (bytes.bytes != 0 && !bytes.data) refuse(name, "a view with memory behind it");
  return bytes;
}

Arguments::Bytes Arguments::array(int index, const char *name, napi_typedarray_type type) const {
  bool is_typed_array = false;
  require(napi_is_typedarray(env_, values_[index], &is_typed_array));
  napi_typedarray_type found = napi_int8_array;
  if (is_typed_array) {
    require(napi_get_typedarray_info(env_, values_[index], &found, nullptr, nullptr, nullptr, nullptr));
  }
  if (!is_typed_array || found != type) refuse(name, "a typed array of the expected type");
  return view(index, name);
}

napi_value number_value(napi_env env, double value) {
  napi_value result;
  require(napi_create_double(env, value, &result));
  return result;
}

napi_value text_value(napi_env env, const char *text) {
  napi_value result;
  require(napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result));
  return result;
}

napi_value undefined_value(napi_env env) {
  napi_value result;
  require(napi_get_undefined(env, &result));
  return result;
}

void set_property(napi_env env, napi_value object, const char *name, napi_value value) {
  require(napi_set_named_property(env, object, name, value));
}

napi_value error_value(napi_env env, const hass_error &error) {
  napi_value result = nullptr;
  guarded(nullptr, [&] {
    napi_value details;
    require(napi_create_object(env, &details));
    const struct {
      const char *name;
      std::int64_t value;
    } numbers[] = {{"op", error.op},       {"operand", error.operand}, {"tensor", error.tensor}, {"index", error.index},
                   {"value", error.value}, {"limit", error.limit},     {"bytes", error.bytes}};
    for (const auto &number : numbers) {
      if (number.value == HASS_ABSENT) continue;
      set_property(env, details, number.name, number_value(env, static_cast<double>(number.value)));
    }
    napi_value created;
    require(napi_create_error(env, text_value(env, code_of(error.status)), text_value(env, error.message), &created));
    set_property(env, created, "details", details);
    result = created;
  });
  return result;
}

}  // namespace hass
