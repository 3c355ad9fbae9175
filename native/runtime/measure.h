// What a device can do, measured in a moment: for `hass doctor` and cost models, not for claims of speed.
#pragma once

#include "cpu_device.h"

namespace hass {

hass_rates measure(hass_device *device);

}  // namespace hass
