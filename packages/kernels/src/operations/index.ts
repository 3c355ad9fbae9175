import { adamW, gradientFacts } from './adam-w.js'
import { add } from './add.js'
import { addRmsNorm } from './add-rms-norm.js'
import { alignedAttention, alignedAttentionGradient } from './aligned-attention.js'
import { argMax } from './arg-max.js'
import { cacheCopy } from './cache-copy.js'
import { cacheWrite } from './cache-write.js'
import { concatColumns } from './concat-columns.js'
import { distillation } from './distillation.js'
import { embedding } from './embedding.js'
import { gatherRows } from './gather-rows.js'
import { gumbelArgMax } from './gumbel-arg-max.js'
import { linear } from './linear.js'
import { linearSiluMul } from './linear-silu-mul.js'
import { logSoftmax } from './log-softmax.js'
import { mul } from './mul.js'
import type { Operation } from './operation.js'
import { addColumnSums, addProduct, matmul, plainLinear } from './plain-products.js'
import { qkvRopeCache } from './qkv-rope-cache.js'
import { rmsNorm } from './rms-norm.js'
import { rmsNormGradient, rmsNormWeightGradient } from './rms-norm-gradient.js'
import { rope, ropeGradient } from './rope.js'
import { concatRows, padColumns, scatterAddRows, sliceRows } from './rows.js'
import { siluMul } from './silu-mul.js'
import { siluMulGradient } from './silu-mul-gradient.js'
import { sliceColumns } from './slice-columns.js'
import { softmax } from './softmax.js'
import { topK } from './top-k.js'
import { treeAttention } from './tree-attention.js'

export {
  adamW,
  add,
  addColumnSums,
  addProduct,
  addRmsNorm,
  alignedAttention,
  alignedAttentionGradient,
  argMax,
  cacheCopy,
  cacheWrite,
  concatColumns,
  concatRows,
  distillation,
  embedding,
  gatherRows,
  gradientFacts,
  gumbelArgMax,
  linear,
  linearSiluMul,
  logSoftmax,
  matmul,
  mul,
  padColumns,
  plainLinear,
  qkvRopeCache,
  rmsNorm,
  rmsNormGradient,
  rmsNormWeightGradient,
  rope,
  ropeGradient,
  scatterAddRows,
  siluMul,
  siluMulGradient,
  sliceColumns,
  sliceRows,
  softmax,
  topK,
  treeAttention,
}

/** Every operation that a program may hold. */
export const operations: readonly Operation[] = [
  embedding,
  rmsNorm,
  linear,
  siluMul,
  rope,
  cacheWrite,
  treeAttention,
  gatherRows,
  concatColumns,
  sliceColumns,
  add,
  mul,
  argMax,
  topK,
  logSoftmax,
  gumbelArgMax,
  cacheCopy,
  addRmsNorm,
  linearSiluMul,
  qkvRopeCache,
  addColumnSums,
  addProduct,
  adamW,
  gradientFacts,
  alignedAttention,
  alignedAttentionGradient,
  distillation,
  matmul,
  plainLinear,
  rmsNormGradient,
  rmsNormWeightGradient,
  ropeGradient,
  concatRows,
  padColumns,
  scatterAddRows,
  sliceRows,
  siluMulGradient,
  softmax,
]

export const operationByOpcode: ReadonlyMap<number, Operation> = new Map(
  operations.map((operation) => [operation.opcode, operation]),
)
