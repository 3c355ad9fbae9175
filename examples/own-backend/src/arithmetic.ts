/** y = W·x + bias. `weight` is `[out, in]` row-major, `x` `[in]`, the result `[out]`, all float32. */
export function linear(weight: Float32Array, x: Float32Array, bias?: Float32Array): Float32Array {
  const y = new Float32Array(weight.length / x.length)
  for (let out = 0, at = 0; out < y.length; out++) {
    let sum = bias?.[out] ?? 0
    for (let i = 0; i < x.length; i++, at++) sum += weight[at]! * x[i]!
    y[out] = sum
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
