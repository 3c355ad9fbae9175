#include "../cuda/linear_quantized.cu"
