#include "kernels.h"
#include "vec8_portable.h"
// The order matters: what follows is written in terms of Vec8.
#include "functions.h"
#include "elementwise.h"
#include "moves.h"
#include "choice.h"
#include "gumbel.h"
#include "attention.h"
#include "quantize.h"
#include "linear_quantized_portable.h"
#include "linear_float.h"
#include "linear.h"
#include "stages.h"

const hass_cpu_kernels hass::portable_kernels = {"portable", HASS_CPU_STAGES};
