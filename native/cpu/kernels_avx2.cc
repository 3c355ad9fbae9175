#include "kernels.h"
#include "vec8_avx2.h"
// The order matters: what follows is written in terms of Vec8.
#include "functions.h"
#include "elementwise.h"
#include "moves.h"
#include "choice.h"
#include "gumbel.h"
#include "attention.h"
#include "quantize.h"
#include "linear_quantized_avx2.h"
#include "linear_float.h"
#include "linear.h"
#include "stages.h"

const hass_cpu_kernels hass::avx2_kernels = {"avx2", HASS_CPU_STAGES};
