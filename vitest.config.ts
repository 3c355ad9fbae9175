import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** `npm run test:long` runs what is too slow for every day, and only that. */
const isLong = process.env.HASS_LONG_TESTS === '1'

export default defineConfig({
  resolve: {
    // Tests read the sources, so that they never see a stale build.
    alias: [
      { find: /^@hass-engine\/core\/test$/, replacement: source('./packages/core/src/test/index.ts') },
      { find: /^@hass-engine\/([a-z-]+)$/, replacement: source('./packages/$1/src/index.ts') },
    ],
  },
  test: {
    include: isLong
      ? ['**/*.long.test.ts']
      : ['packages/*/src/**/*.test.ts', 'examples/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: [
      ...configDefaults.exclude,
      ...(isLong ? [] : ['**/*.long.test.ts']),
      // `npm run test:servers` starts what it needs.
      // biome-ignore lint/suspicious/noUndeclaredEnvVars: no build depends on it
      ...(process.env.HASS_TEST_SERVER ? [] : ['**/real-server.test.ts']),
    ],
    // By default one core is left idle: half of a small machine.
    maxWorkers: '100%',
    testTimeout: isLong ? 1_800_000 : 60_000,
    coverage: {
      provider: 'v8',
      include: ['packages/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', '**/testing/**', '**/index.ts'],
    },
  },
})
