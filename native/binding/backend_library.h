// Backends that live in shared libraries of their own.
#pragma once

#include "../include/hass_backend.h"

namespace hass {

// Loads the library, once in a process, and never unloads it: a backend keeps threads and devices of its own.
// Throws Failure UNSUPPORTED, with the reason, where it cannot be loaded or is of another version.
const hass_backend *load_backend(const char *path);

}  // namespace hass
