#include "backend_library.h"

#include <dlfcn.h>

#include "../runtime/failure.h"

namespace hass {

const hass_backend *load_backend(const char *path) {
  // The loader counts: a library that is open already is not loaded again.
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(HASS_STATUS_UNSUPPORTED, "The library cannot be loaded: %.200s.", dlerror());
  const auto entry = reinterpret_cast<hass_backend_entry_function>(dlsym(library, "hass_backend_entry"));
  if (!entry) fail(HASS_STATUS_UNSUPPORTED, "The library has no hass_backend_entry.");
  const hass_backend *backend = entry();
  if (backend->abi != HASS_BACKEND_ABI) {
    fail(HASS_STATUS_UNSUPPORTED, "The library is of version %u of the backends' interface, expected %u.", backend->abi,
         static_cast<unsigned>(HASS_BACKEND_ABI));
  }
  return backend;
}

}  // namespace hass
