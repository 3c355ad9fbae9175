#include "../cuda/linear_float.cu"
