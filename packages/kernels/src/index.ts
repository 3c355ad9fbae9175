export type { DeviceRates, GpuFacts } from './addon/addon.js'
export type { CudaKind } from './addon/cuda-library.js'
export { type AddonAttempt, type LoadAddonOptions, type LoadedAddon, loadAddon } from './addon/load-addon.js'
export {
  type CompileOptions,
  Device,
  type DeviceKind,
  type DeviceOptions,
  openDevice,
  type UploadOptions,
} from './device.js'
export { DeviceTensor, type TensorLayout, type WeightConversion } from './device-tensor.js'
export { type DifferentiateOptions, differentiate } from './differentiation/differentiate.js'
export { type CudaFacts, type DoctorFacts, type DoctorOptions, doctor } from './doctor.js'
export * from './errors.js'
export {
  createGraph,
  type DistillationOptions,
  Graph,
  type GraphNode,
  type GraphOptions,
  type LinearOptions,
  type RopeOptions,
  type TreeAttentionOptions,
  type TreeContextOptions,
} from './graph/graph.js'
export type { AlignedContext, Dimension, Extent, GraphTensor, TreeContext } from './graph/graph-tensor.js'
export { adamW, gradientFacts } from './operations/adam-w.js'
export { distillationLosses } from './operations/distillation.js'
export type { Operation, ReferenceCall, ReverseContext, ReverseRule } from './operations/operation.js'
export { type WeightFormat, weightFormats } from './packing/formats.js'
export type { WeightSource } from './packing/prepare.js'
export { type DeviceDType, packedColumns } from './program.js'
export type { InputData } from './program-inputs.js'
export { type OutputHandle, Program, type RunOptions, type RunOutputs } from './program-run.js'
export {
  type LinearRopeScaling,
  type Llama3RopeScaling,
  type RopeScaling,
  type RopeTableOptions,
  ropeTable,
  type YarnRopeScaling,
  yarnScale,
} from './rope-table.js'
