import { GraphError } from '../errors.js'
import type { GraphTensor } from '../graph/graph-tensor.js'
import type { Arithmetic } from '../reference/arithmetic.js'
import type { HostTensor } from '../reference/host-tensor.js'
import {
  type AttributeRole,
  type Bindings,
  evaluate,
  type Misfit,
  type OperandRole,
  type TensorShape,
  unify,
} from './signature.js'

/** What the reference implementation of an operation is called with; operands in the order of the signature. */
export interface ReferenceCall {
  readonly tensors: readonly HostTensor[]
  /** By the names of the signature; floats as numbers. */
  readonly attributes: Readonly<Record<string, number>>
  readonly arithmetic: Arithmetic
}

/**
 * One operation: what it is called, what fits it, and what it computes. A new one is a file in this folder, an entry
 * in the table, and a kernel in each native backend; the shared suite then tests all of them.
 */
export interface Operation {
  /** As in the graph builder's method. */
  readonly name: string
  readonly opcode: number
  /** Outputs first. */
  readonly operands: readonly OperandRole[]
  readonly attributes: readonly AttributeRole[]
  /** What letters cannot say; returns a complaint, or undefined. */
  check?(attributes: Readonly<Record<string, number>>, bindings: Bindings): string | undefined
  /**
   * Refuses values of index operands. A program asks all operations whose index operands are inputs before the first
   * one runs, so that a refused run has changed no state.
   *
   * @throws InvalidInputError `HASS_ERR_INVALID_INPUT`
   */
  checkValues?(call: ReferenceCall): void
  /** Whole rows in order: the oracle of every backend. */
  run(call: ReferenceCall): void
  /**
   * Reverse mode: emits the operations that turn gradients of the outputs into gradients of the inputs. Absent where
   * an operation has none, or only inference uses it.
   */
  readonly vjp?: ReverseRule
}

/** What a reverse rule is told; lists of inputs are in the order of the signature, behind the outputs. */
export interface ReverseContext {
  /** Absent optional ones are undefined. */
  readonly inputs: readonly GraphTensor[]
  readonly outputs: readonly GraphTensor[]
  readonly attributes: Readonly<Record<string, number>>
  /** Undefined for outputs on which nothing depends. */
  readonly outputGradients: readonly (GraphTensor | undefined)[]
  /** Of which inputs the gradient is asked for. */
  readonly wants: readonly boolean[]
  /** The states on top of which gradients of inputs that are parameters are added. */
  readonly accumulators: readonly (GraphTensor | undefined)[]
  emit(
    operation: Operation,
    inputs: readonly (GraphTensor | undefined)[],
    attributes?: Readonly<Record<string, number>>,
    known?: Bindings,
  ): GraphTensor[]
}

/** Returns the gradients of the inputs; undefined where none is wanted. */
export type ReverseRule = (context: ReverseContext) => readonly (GraphTensor | undefined)[]

/** Letters of one-letter attributes. */
function attributeBindings(operation: Operation, attributes: Readonly<Record<string, number>>): Map<string, number> {
  const bindings = new Map<string, number>()
  for (const { name } of operation.attributes) if (/^[A-Z]$/.test(name)) bindings.set(name, attributes[name]!)
  return bindings
}

/**
 * Checks inputs and, where they are given, outputs; returns what the letters of the signature stand for.
 *
 * @param tensors by the order of the signature; all outputs undefined while they are still to be inferred
 * @throws GraphError `HASS_ERR_GRAPH`, naming the tensor, what was found and what was expected
 */
export function checkOperation(
  operation: Operation,
  tensors: readonly (TensorShape | undefined)[],
  attributes: Readonly<Record<string, number>>,
  describeExtent: (extent: number) => string,
  known: Bindings = new Map(),
): Map<string, number> {
  const letters = attributeBindings(operation, attributes)
  const bindings = new Map([...letters, ...known])
  for (const [letter, value] of letters) {
    if (value >= 0) continue
    throw new GraphError(`${operation.name}: ${letter} is ${value}, expected a count.`, { operation: operation.name })
  }
  const isOutput = (role: OperandRole) => role.access === 'write'
  const numOutputs = operation.operands.filter(isOutput).length
  const misfit =
    unify(operation.operands.slice(numOutputs), tensors.slice(numOutputs), bindings, describeExtent) ??
    (tensors[0] || numOutputs === 0
      ? unify(operation.operands.slice(0, numOutputs), tensors.slice(0, numOutputs), bindings, describeExtent)
      : undefined)
  if (misfit) throw misfitError(operation, misfit, describeExtent)
  const complaint = operation.check?.(attributes, bindings)
  if (complaint) throw new GraphError(`${operation.name}: ${complaint}.`, { operation: operation.name, ...attributes })
  return bindings
}

/** The shapes of an operation's outputs, from the letters that its inputs and attributes bound. */
export function inferOutputs(operation: Operation, bindings: Bindings): (readonly number[])[] {
  return operation.operands
    .filter((role) => role.access === 'write')
    .map((role) =>
      role.shape.map((pattern) => {
        const extent = evaluate(pattern, bindings)
        if (extent !== undefined) return extent
        throw new GraphError(`${operation.name}: ${role.name} has the unknown extent ${pattern}.`)
      }),
    )
}

function misfitError(operation: Operation, misfit: Misfit, describeExtent: (extent: number) => string): GraphError {
  const { role, found, expected } = misfit
  const message = found
    ? `${role.name} "${found.name}" is [${found.shape.map(describeExtent).join(', ')}] ${found.dtype}${found.isState ? ' state' : ''}, expected ${expected}`
    : `${role.name} is missing, expected ${expected}`
  return new GraphError(`${operation.name}: ${message}.`, {
    operation: operation.name,
    operand: role.name,
    ...(found && { tensor: found.name, found: found.shape.map(describeExtent), dtype: found.dtype }),
    expected,
  })
}
