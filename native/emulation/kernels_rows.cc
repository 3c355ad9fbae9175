#include "../cuda/rows.cu"
