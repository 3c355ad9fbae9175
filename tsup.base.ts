import type { Options } from 'tsup'

/** What every package builds alike: ESM for Node 20, with declarations. */
export const base: Options = {
  entry: ['src/index.ts'],
  format: ['esm'],
  target: 'node20',
  dts: true,
  clean: true,
  sourcemap: true,
  treeshake: true,
}
