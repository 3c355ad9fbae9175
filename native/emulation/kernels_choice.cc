#include "../cuda/choice.cu"
