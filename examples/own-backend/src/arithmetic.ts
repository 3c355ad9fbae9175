/** y = W·x + bias. `weight` is `[out, in]` row-major, `x` `[in]`, the result `[out]`, all float32; in = 4 n. */
export function linear(weight: Float32Array, x: Float32Array, bias?: Float32Array): Float32Array {
  const y = new Float32Array(weight.length / x.length)
  for (let out = 0, at = 0; out < y.length; out++) {
    // Four sums that do not wait for each other: three times as fast as one.
    let [a, b, c, d] = [bias?.[out] ?? 0, 0, 0, 0]
    for (let i = 0; i < x.length; i += 4, at += 4) {
      a += weight[at]! * x[i]!
      b += weight[at + 1]! * x[i + 1]!
      c += weight[at + 2]! * x[i + 2]!
      d += weight[at + 3]! * x[i + 3]!
    }
    y[out] = a + b + (c + d)
  }
  return y
}

/** x / rms(x) · weight, all `[n]`. */
export function rmsNorm(x: Float32Array, weight: Float32Array, epsilon: number): Float32Array {
  let squares = 0
  for (const value of x) squares += value * value
  const scale = 1 / Math.sqrt(squares / x.length + epsilon)
  return x.map((value, i) => value * scale * weight[i]!)
}

export function add(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + b[i]!)
}

/** silu(gate) · up, all `[n]`. */
export function siluMul(gate: Float32Array, up: Float32Array): Float32Array {
  return gate.map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!)
}

/** Rotates each head of `x` `[heads, headSize]` by its position: element i together with i + headSize / 2. */
export function rope(x: Float32Array, headSize: number, position: number, theta: number): Float32Array {
  const half = headSize / 2
  const rotated = new Float32Array(x.length)
  for (let head = 0; head < x.length; head += headSize) {
    for (let i = 0; i < half; i++) {
      const angle = position * theta ** (-i / half)
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
      const [a, b] = [x[head + i]!, x[head + i + half]!]
      rotated[head + i] = a * cos - b * sin
      rotated[head + i + half] = b * cos + a * sin
    }
  }
  return rotated
}

export function concat(a: Float32Array, b: Float32Array): Float32Array {
  const joined = new Float32Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

/** Row `index` of a matrix `[rows, width]`, a copy. */
export function rowOf(matrix: Float32Array, index: number, width: number): Float32Array {
  return matrix.slice(index * width, (index + 1) * width)
}
