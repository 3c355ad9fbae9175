import { type DeviceDType, packedColumns } from '../program.js'

/** What an operation does with an operand. `update` reads and writes a state. */
type Access = 'write' | 'read' | 'update'

/**
 * One operand of an operation. `shape` is written in letters, one extent each: `R`, `O`, a number, or a sum of
 * products such as `H*D+G*D`. The same letter is the same extent throughout one operation.
 */
export interface OperandRole {
  readonly name: string
  readonly access: Access
  readonly dtypes: readonly DeviceDType[]
  readonly shape: readonly string[]
  readonly isOptional: boolean
}

/** One attribute word; a one-letter name is an extent letter. */
export interface AttributeRole {
  readonly name: string
  readonly type: 'integer' | 'float'
}

/** A tensor as a check sees it. A negative extent, -1 - i, stands for dimension i. */
export interface TensorShape {
  readonly name: string
  readonly dtype: DeviceDType
  readonly shape: readonly number[]
  readonly isState: boolean
}

/** Extents bound to the letters of a signature. */
export type Bindings = ReadonlyMap<string, number>

export const weightDTypes = ['F32', 'F16', 'BF16', 'Q4', 'Q8', 'Q4K', 'F8'] as const
/** Packed as integers, which int8 activations can be multiplied with. */
export const integerDTypes: readonly DeviceDType[] = ['Q4', 'Q8', 'Q4K']
export const cacheDTypes = ['F32', 'F16', 'BF16'] as const
export const anyDType = ['F32', 'F16', 'BF16', 'I32', 'U32'] as const

type OperandOptions = { readonly dtypes?: readonly DeviceDType[]; readonly isOptional?: boolean }

function role(access: Access, name: string, shape: string, options: OperandOptions): OperandRole {
  const { dtypes = ['F32'], isOptional = false } = options
  return { name, access, dtypes, shape: shape.split(','), isOptional }
}

export const writes = (name: string, shape: string, options: OperandOptions = {}) => role('write', name, shape, options)
export const reads = (name: string, shape: string, options: OperandOptions = {}) => role('read', name, shape, options)
export const updates = (name: string, shape: string, options: OperandOptions = {}) =>
  role('update', name, shape, { dtypes: cacheDTypes, ...options })
export const integer = (name: string): AttributeRole => ({ name, type: 'integer' })
export const float = (name: string): AttributeRole => ({ name, type: 'float' })

type Term = readonly (string | number)[]
const termsOfPattern = new Map<string, readonly Term[]>()

function parse(pattern: string): readonly Term[] {
  let terms = termsOfPattern.get(pattern)
  if (!terms) {
    terms = pattern
      .split('+')
      .map((term) => term.split('*').map((factor) => (/^\d+$/.test(factor) ? Number(factor) : factor)))
    termsOfPattern.set(pattern, terms)
  }
  return terms
}

function isLetter(pattern: string): boolean {
  return /^[A-Z]$/.test(pattern)
}

/** The extent that a pattern stands for, or undefined while a letter of it is unbound. */
export function evaluate(pattern: string, bindings: Bindings): number | undefined {
  if (isLetter(pattern)) return bindings.get(pattern)
  let sum = 0
  for (const term of parse(pattern)) {
    let product = 1
    for (const factor of term) {
      const value = typeof factor === 'number' ? factor : bindings.get(factor)
      // Sizes that are known at run time only take part in no arithmetic.
      if (value === undefined || value < 0) return undefined
      product *= value
    }
    sum += product
  }
  return sum
}

/** Binds the one unbound letter of a product such as `N*D`; false if the extent is no multiple of the rest. */
function solve(pattern: string, extent: number, bindings: Map<string, number>): boolean {
  const [term, ...more] = parse(pattern)
  const unbound = term!.filter((factor) => typeof factor === 'string' && !bindings.has(factor))
  if (more.length > 0 || unbound.length !== 1 || extent < 0) return false
  let rest = 1
  for (const factor of term!) {
    if (factor !== unbound[0]) rest *= typeof factor === 'number' ? factor : bindings.get(factor)!
  }
  if (rest <= 0 || extent % rest !== 0) return false
  bindings.set(unbound[0] as string, extent / rest)
  return true
}

/** Why an operand does not fit its role. */
export interface Misfit {
  readonly role: OperandRole
  readonly found: TensorShape | undefined
  readonly expected: string
}

/**
 * Matches tensors with roles, binding letters on the way.
 *
 * @returns the first operand that does not fit, or undefined if all do
 */
export function unify(
  roles: readonly OperandRole[],
  tensors: readonly (TensorShape | undefined)[],
  bindings: Map<string, number>,
  describeExtent: (extent: number) => string,
): Misfit | undefined {
  const misfit = (index: number): Misfit => ({
    role: roles[index]!,
    found: tensors[index],
    expected: describeRole(roles[index]!, bindings, describeExtent),
  })
  for (const [index, role] of roles.entries()) {
    const tensor = tensors[index]
    if (!tensor) {
      if (!role.isOptional) return misfit(index)
      continue
    }
    const isRightKind = role.access !== 'update' || tensor.isState
    const fits =
      isRightKind &&
      role.dtypes.includes(tensor.dtype) &&
      tensor.shape.length === role.shape.length &&
      tensor.shape.at(-1)! % (packedColumns[tensor.dtype] ?? 1) === 0
    if (!fits) return misfit(index)
  }
  // Single letters of all operands come first: products are then solved with what they bound.
  for (const isCompound of [false, true]) {
    for (const [index, role] of roles.entries()) {
      const tensor = tensors[index]
      if (!tensor) continue
      for (const [axis, pattern] of role.shape.entries()) {
        if (isLetter(pattern) === isCompound) continue
        const extent = tensor.shape[axis]!
        const expected = evaluate(pattern, bindings)
        if (expected === extent) continue
        if (expected !== undefined) return misfit(index)
        if (isLetter(pattern)) bindings.set(pattern, extent)
        else if (!solve(pattern, extent, bindings)) return misfit(index)
      }
    }
  }
  return undefined
}

/** `[rows, 576] F32`, with letters where nothing is known yet. */
function describeRole(role: OperandRole, bindings: Bindings, describeExtent: (extent: number) => string): string {
  const extents = role.shape.map((pattern) => {
    const value = evaluate(pattern, bindings)
    return value === undefined ? pattern : describeExtent(value)
  })
  const blocks = role.dtypes.flatMap((dtype) => (packedColumns[dtype] ? [`${packedColumns[dtype]} of ${dtype}`] : []))
  const note = blocks.length > 0 ? ` (columns a multiple of ${blocks.join(', ')})` : ''
  const kind = role.access === 'update' ? ' state' : ''
  return `[${extents.join(', ')}] ${role.dtypes.join(' or ')}${kind}${note}`
}
