#include "../cuda/linear.cu"
