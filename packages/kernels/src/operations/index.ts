import { add } from './add.js'
import { addRmsNorm } from './add-rms-norm.js'
import { argMax } from './arg-max.js'
import { cacheCopy } from './cache-copy.js'
import { cacheWrite } from './cache-write.js'
import { concatColumns } from './concat-columns.js'
import { embedding } from './embedding.js'
import { gatherRows } from './gather-rows.js'
import { gumbelArgMax } from './gumbel-arg-max.js'
import { linear } from './linear.js'
import { linearSiluMul } from './linear-silu-mul.js'
import { logSoftmax } from './log-softmax.js'
import { mul } from './mul.js'
import type { Operation } from './operation.js'
import { qkvRopeCache } from './qkv-rope-cache.js'
import { rmsNorm } from './rms-norm.js'
import { rope } from './rope.js'
import { siluMul } from './silu-mul.js'
import { sliceColumns } from './slice-columns.js'
import { topK } from './top-k.js'
import { treeAttention } from './tree-attention.js'

export {
  add,
  addRmsNorm,
  argMax,
  cacheCopy,
  cacheWrite,
  concatColumns,
  embedding,
  gatherRows,
  gumbelArgMax,
  linear,
  linearSiluMul,
  logSoftmax,
  mul,
  qkvRopeCache,
  rmsNorm,
  rope,
  siluMul,
  sliceColumns,
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
]

export const operationByOpcode: ReadonlyMap<number, Operation> = new Map(
  operations.map((operation) => [operation.opcode, operation]),
)
