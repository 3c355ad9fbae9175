export { openGguf } from './formats/gguf/gguf.js'
export { openSafetensors } from './formats/safetensors.js'
export { openTorch } from './formats/torch/torch-file.js'
