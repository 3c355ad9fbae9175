const numBins = 1024
// Below this many candidates a sort is cheaper than another round of bins.
const sortLimit = 128

/**
 * Removes (sets to −∞) all logits but the best: the shortest prefix, in order of falling key and then rising id,
 * whose weights add up to `target`; at least one, and everything if the sum is never reached.
 *
 * @param logits `[vocabSize] float64`, changed in place
 * @param keys `[vocabSize] float64`, may be `logits`; -Infinity for tokens that are gone already
 * @param weights `[vocabSize] float64`. Defaults to 1 for each token
 * @param floor a key of which the caller knows that the last kept token does not lie below. Defaults to none
 */
type Selector = (
  logits: Float64Array,
  keys: Float64Array,
  target: number,
  weights?: Float64Array,
  floor?: number,
) => void

/**
 * A selector with its own scratch memory.
 *
 * The last kept token is found without sorting the row: candidates are counted into bins of equal key range, the
 * bin in which the target is reached becomes the next range, and so on until what is left is worth a sort.
 */
export function createSelector(): Selector {
  let ids = new Uint32Array(0)
  let bins = new Float64Array(0)

  return (logits, keys, target, weights, floor = -Infinity) => {
    if (ids.length < keys.length) ids = new Uint32Array(keys.length)
    let count = 0
    for (let i = 0; i < keys.length; i++) if (keys[i]! >= floor && keys[i]! > -Infinity) ids[count++] = i
    let needed = target

    while (count > sortLimit) {
      let low = Infinity
      let high = -Infinity
      for (let i = 0; i < count; i++) {
        const key = keys[ids[i]!]!
        if (key < low) low = key
        if (key > high) high = key
      }
      // Halved, so that the range of any two finite keys is finite.
      const top = high / 2
      const scale = numBins / (top - low / 2)
      if (scale === Infinity) break
      if (bins.length === 0) bins = new Float64Array(numBins)
      else bins.fill(0)
      for (let i = 0; i < count; i++) {
        const id = ids[i]!
        bins[binOf(keys[id]!, top, scale)]! += weights ? weights[id]! : 1
      }
      let bin = 0
      while (bin < numBins - 1 && bins[bin]! < needed) needed -= bins[bin++]!
      let members = 0
      for (let i = 0; i < count; i++) {
        const id = ids[i]!
        if (binOf(keys[id]!, top, scale) === bin) ids[members++] = id
      }
      count = members
    }

    const sorted = ids.subarray(0, count).sort((a, b) => keys[b]! - keys[a]! || a - b)
    let last = 0
    while (last < count - 1) {
      needed -= weights ? weights[sorted[last]!]! : 1
      if (needed <= 0) break
      last++
    }
    const lastId = sorted[last]!
    const lastKey = keys[lastId]!
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      if (key < lastKey || (key === lastKey && i > lastId)) logits[i] = -Infinity
    }
  }
}

function binOf(key: number, top: number, scale: number): number {
  const bin = (top - key / 2) * scale
  return bin < numBins ? bin | 0 : numBins - 1
}
