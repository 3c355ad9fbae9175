export {
  type Architecture,
  architectures,
  type ExpertsConfig,
  type LatentAttentionConfig,
  type ModelConfig,
  type RopeConfig,
  type RopeScaling,
} from './config/model-config.js'
export { WeightsError, type WeightsErrorCode } from './errors.js'
export { type ExportDraftHeadOptions, type ExportedDraftHead, exportDraftHead } from './export/export-draft-head.js'
export { type ExportLayout, exportLayouts } from './export/export-layout.js'
export { type Append, type FileSystem, type FileToWrite, writeAtomically } from './formats/atomic-write.js'
export { type GgufFile, openGguf } from './formats/gguf/gguf.js'
export type { GgufValue } from './formats/gguf/metadata.js'
export { openTensors, type TensorFile } from './formats/open-tensors.js'
export { openSafetensors, type SafetensorsFile } from './formats/safetensors.js'
export {
  type WritableTensor,
  type WriteSafetensorsOptions,
  type WriteShardsOptions,
  writeSafetensors,
  writeShardedSafetensors,
} from './formats/safetensors-writer.js'
export { openShards } from './formats/shard-index.js'
export { readTokenMap, writeTokenMap } from './formats/torch/token-map.js'
export { openTorch, type TorchFile } from './formats/torch/torch-file.js'
export { checkDraftHead } from './model/check-draft-head.js'
export { attachFp8Scales } from './model/fp8-scales.js'
export { type OpenedModel, openModel, type TokenizerFiles } from './model/open-model.js'
export { expectTensors, type TensorExpectation } from './model/tensor-layout.js'
export { canonicalGgufName, canonicalHuggingFaceName } from './names/canonical-names.js'
export { dequantizeGgml, type GgmlQuantization, type GgmlQuantizedType } from './quantization/ggml.js'
export { type ByteSource, createMemorySource } from './source/byte-source.js'
export { openFileSource } from './source/file-source.js'
export { createMemoryTensor, type MemoryTensor } from './source/memory-tensor.js'
export type { Fp8Quantization, Quantization, StoredDType, TensorDescription, TensorSource } from './tensor-source.js'
