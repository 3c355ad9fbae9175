import type { Arithmetic } from './arithmetic.js'

/** `c = (c +) a b`, `c` `[rows, columns]` row-major; the inner index ascends. */
export interface MatrixProduct {
  readonly sizes: { readonly rows: number; readonly columns: number; readonly inner: number }
  readonly a: { readonly data: Float32Array; readonly rowStride: number; readonly innerStride: number }
  readonly b: { readonly data: Float32Array; readonly columnStride: number; readonly innerStride: number }
  readonly c: Float32Array
  /** Defaults to false. */
  readonly isAdded?: boolean
  readonly arithmetic: Arithmetic
}

export function multiply({ sizes, a, b, c, isAdded = false, arithmetic: { round } }: MatrixProduct): void {
  const { rows, columns, inner } = sizes
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = isAdded ? c[row * columns + column]! : 0
      const [atA, atB] = [row * a.rowStride, column * b.columnStride]
      for (let i = 0; i < inner; i++) {
        sum = round(sum + round(a.data[atA + i * a.innerStride]! * b.data[atB + i * b.innerStride]!))
      }
      c[row * columns + column] = sum
    }
  }
}
