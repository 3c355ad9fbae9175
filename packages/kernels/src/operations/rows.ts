import { InvalidInputError } from '../errors.js'
import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { integer, reads, writes } from './signature.js'
import { checkBelow } from './values.js'

/** `y[rows[i]] = y[rows[i]] + x[i]` on zeros, i ascending: the gradient of `gatherRows`. */
export const scatterAddRows: Operation = {
  name: 'scatterAddRows',
  opcode: Opcode.SCATTER_ADD_ROWS,
  operands: [writes('y', 'R,E'), reads('x', 'L,E'), reads('rows', 'L', { dtypes: ['U32'] })],
  attributes: [],
  checkValues({ tensors: [y, , rows] }) {
    checkBelow(rows!, y!.shape[0]!, 'row')
  },
  run({ tensors: [y, x, rows] }) {
    const columns = x!.shape[1]!
    const [target, source] = [floatsOf(y!), floatsOf(x!)]
    target.fill(0)
    for (const [i, row] of wordsOf(rows!).entries()) {
      for (let c = 0; c < columns; c++) {
        target[row * columns + c] = target[row * columns + c]! + source[i * columns + c]!
      }
    }
  },
}

/** Rows of `a`, then those of `b`. S is A + B, which a run refuses to be told otherwise. */
export const concatRows: Operation = {
  name: 'concatRows',
  opcode: Opcode.CONCAT_ROWS,
  operands: [writes('y', 'S,E'), reads('a', 'A,E'), reads('b', 'B,E')],
  attributes: [],
  checkValues({ tensors: [y, a, b] }) {
    const [found, expected] = [y!.shape[0]!, a!.shape[0]! + b!.shape[0]!]
    if (found !== expected) {
      throw new InvalidInputError(`concatRows has ${found} rows, expected the ${expected} of its parts.`, {
        value: found,
        limit: expected,
      })
    }
  },
  run({ tensors: [y, a, b] }) {
    floatsOf(y!).set(floatsOf(a!))
    floatsOf(y!).set(floatsOf(b!), a!.data.length)
  },
  vjp({ inputs: [a, b], outputGradients: [dy], wants, emit }) {
    const part = (of: typeof a, isLast: number) => emit(sliceRows, [dy], { isLast }, new Map([['L', of!.shape[0]!]]))[0]
    return [wants[0] ? part(a, 0) : undefined, wants[1] ? part(b, 1) : undefined]
  },
}

/** The first or the last L rows of `x`. */
export const sliceRows: Operation = {
  name: 'sliceRows',
  opcode: Opcode.SLICE_ROWS,
  operands: [writes('y', 'L,E'), reads('x', 'R,E')],
  attributes: [integer('isLast')],
  check: ({ isLast }) => (isLast === 0 || isLast === 1 ? undefined : `isLast is ${isLast}, expected 0 or 1`),
  checkValues({ tensors: [y, x] }) {
    const [found, limit] = [y!.shape[0]!, x!.shape[0]!]
    if (found > limit) {
      throw new InvalidInputError(`sliceRows takes ${found} rows of ${limit}.`, { value: found, limit })
    }
  },
  run({ tensors: [y, x], attributes }) {
    const from = attributes.isLast ? x!.data.length - y!.data.length : 0
    floatsOf(y!).set(floatsOf(x!).subarray(from, from + y!.data.length))
  },
}

/** `x` between columns of zeros: the gradient of `slice`. */
export const padColumns: Operation = {
  name: 'padColumns',
  opcode: Opcode.PAD_COLUMNS,
  operands: [writes('y', 'R,E'), reads('x', 'R,N')],
  attributes: [integer('from')],
  check({ from }, bindings) {
    const [columns, width] = [bindings.get('N')!, bindings.get('E')!]
    return from! >= 0 && from! + columns <= width
      ? undefined
      : `columns ${from} to ${from! + columns} pass the ${width} that y has`
  },
  run({ tensors: [y, x], attributes }) {
    const [width, columns] = [y!.shape[1]!, x!.shape[1]!]
    floatsOf(y!).fill(0)
    for (let row = 0; row < x!.shape[0]!; row++) {
      floatsOf(y!).set(floatsOf(x!).subarray(row * columns, (row + 1) * columns), row * width + attributes.from!)
    }
  },
}
