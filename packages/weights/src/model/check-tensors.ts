import type { ModelConfig } from '../config/model-config.js'
import { shown, WeightsError } from '../errors.js'
import type { StoredDType, TensorSource } from '../tensor-source.js'
import { expectTensors, type TensorExpectation } from './tensor-layout.js'

/** So many findings are named; the rest is hardly news. */
const maxNamed = 8

const dtypesOfContent: Readonly<Record<'ids' | 'mask', readonly StoredDType[]>> = {
  ids: ['I64', 'I32'],
  mask: ['BOOL', 'U8'],
}
const integerDTypes: readonly StoredDType[] = ['I64', 'I32', 'I16', 'I8', 'U64', 'U32', 'U16', 'U8', 'BOOL']

/**
 * Checks that the tensors are those of the configuration: none missing, left over, or of another shape.
 *
 * @param tensors by canonical name
 * @param file the file or folder that they are from, for messages
 * @throws WeightsError `HASS_ERR_MODEL_TENSORS`, naming the tensors, what was found and what was expected
 */
export function checkTensors(tensors: ReadonlyMap<string, TensorSource>, config: ModelConfig, file: string): void {
  const findings: string[] = []
  let recognized = 0
  for (const expectation of expectTensors(config)) {
    const tensor = tensors.get(expectation.name)
    if (tensor) recognized++
    const finding = describeMismatch(tensor, expectation)
    if (finding) findings.push(finding)
    if (findings.length > maxNamed) break
  }
  if (findings.length === 0 && recognized < tensors.size) findings.push(...describeLeftOver(tensors, config))
  if (findings.length === 0) return
  const named = findings.slice(0, maxNamed)
  throw new WeightsError(
    'HASS_ERR_MODEL_TENSORS',
    `${file} does not hold the ${config.architecture} model that its configuration describes: ${named.join('; ')}${
      findings.length > maxNamed ? '; and more' : ''
    }.`,
    { file, architecture: config.architecture, findings: named },
  )
}

function describeMismatch(tensor: TensorSource | undefined, expectation: TensorExpectation): string | undefined {
  const { name, shape, content, isOptional } = expectation
  if (!tensor) return isOptional ? undefined : `tensor ${name} [${shape}] is missing`
  const isSameShape = tensor.shape.length === shape.length && shape.every((size, i) => size === tensor.shape[i])
  if (!isSameShape) return `tensor ${name} is [${tensor.shape}], expected [${shape}]`
  const isContent =
    content === 'weights' ? !integerDTypes.includes(tensor.dtype) : dtypesOfContent[content].includes(tensor.dtype)
  return isContent ? undefined : `tensor ${name} holds ${tensor.dtype}, expected ${content}`
}

function* describeLeftOver(tensors: ReadonlyMap<string, TensorSource>, config: ModelConfig): Generator<string> {
  const known = new Set<string>()
  for (const { name } of expectTensors(config)) known.add(name)
  for (const { name, shape } of tensors.values()) {
    if (!known.has(name)) yield `tensor ${shown(name)} [${shape}] is none of that architecture`
  }
}
