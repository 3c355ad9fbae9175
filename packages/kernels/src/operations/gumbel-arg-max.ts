import { createNoiseField } from '@hass-engine/core'
import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import { argMaxOf } from './arg-max.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

const words = { dtypes: ['U32'] } as const

/** `argmax_v(x_v / temperature + G(seed, position, v))`, in float64: the sampler's choice, to the bit. */
export const gumbelArgMax: Operation = {
  name: 'gumbelArgMax',
  opcode: Opcode.GUMBEL_ARG_MAX,
  operands: [
    writes('token', 'R', words),
    reads('x', 'R,V'),
    reads('temperatures', 'R,2', words),
    reads('positions', 'R', words),
    reads('seeds', 'R,2', words),
  ],
  attributes: [],
  check: (_, bindings) => (bindings.get('V') === 0 ? 'x has no columns' : undefined),
  run({ tensors: [token, x, temperatures, positions, seeds] }) {
    const columns = x!.shape[1]!
    const scores = floatsOf(x!)
    const heats = new Float64Array(wordsOf(temperatures!).slice().buffer)
    const [out, places, keys] = [wordsOf(token!), wordsOf(positions!), wordsOf(seeds!)]
    for (let row = 0; row < out.length; row++) {
      const from = row * columns
      if (heats[row] === 0) {
        out[row] = argMaxOf(scores, from, from + columns)
        continue
      }
      const noise = createNoiseField((BigInt(keys[2 * row + 1]!) << 32n) | BigInt(keys[2 * row]!))
      let largest = -Infinity
      out[row] = 0
      for (let id = 0; id < columns; id++) {
        const value = scores[from + id]! / heats[row]! + noise.gumbel(places[row]!, id)
        if (value > largest) {
          largest = value
          out[row] = id
        }
      }
    }
  },
}
