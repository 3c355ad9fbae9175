// All stages but the linear ones. Included after a vec8 header: they are written in terms of Vec8, in this order.
#pragma once

#include "functions.h"
#include "elementwise.h"
#include "moves.h"
#include "choice.h"
#include "gumbel.h"
#include "attention.h"
#include "quantize.h"
