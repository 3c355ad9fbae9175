import { defineConfig } from 'tsup'

/** Benchmarks are bundled next to the installed packages and never published. */
export default defineConfig({
  entry: ['benchmarks/dynamic-tree.ts', 'benchmarks/simulate.ts', 'benchmarks/coupling-scale.ts'],
  format: ['esm'],
  target: 'node20',
  outDir: 'node_modules/.cache/benchmarks',
})
