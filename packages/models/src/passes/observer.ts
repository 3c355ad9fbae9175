/** Sees intermediate rows of every pass, by name: for tests. */
export interface Observer {
  observe(name: string, rows: Float32Array): void
}
