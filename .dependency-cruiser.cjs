// Imports point down only: what each package may import of the workspace. `core` imports nothing.
const below = {
  core: [],
  tokenizer: ['core'],
  weights: ['core'],
  'draft-tree': ['core'],
  sampler: ['core'],
  report: ['core'],
  kernels: ['core'],
  models: ['core', 'weights', 'kernels', 'draft-tree', 'sampler'],
  engine: ['core', 'tokenizer', 'weights', 'draft-tree', 'sampler', 'kernels', 'models', 'smollm2-135m-instruct'],
  trainer: ['core', 'tokenizer', 'weights', 'draft-tree', 'sampler', 'kernels', 'models', 'engine', 'report'],
  client: ['core'],
  bench: ['core', 'draft-tree', 'sampler', 'report'],
  cli: [
    'core',
    'tokenizer',
    'weights',
    'draft-tree',
    'sampler',
    'kernels',
    'models',
    'engine',
    'trainer',
    'client',
    'report',
    'bench',
    'smollm2-135m-instruct',
  ],
}

const direction = Object.entries(below).map(([name, allowed]) => ({
  name: `${name}-imports-down`,
  comment: `packages/${name} may import ${allowed.join(', ') || 'no other package'}`,
  severity: 'error',
  from: { path: `^packages/${name}/src`, pathNot: '\\.test\\.ts$' },
  to: { path: '^packages/([^/]+)/', pathNot: [name, ...allowed].map((other) => `^packages/${other}/`) },
}))

module.exports = {
  forbidden: [
    ...direction,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'published-code-imports-no-tests',
      comment: 'src/testing holds what only tests import',
      severity: 'error',
      from: { path: '^packages/[^/]+/src', pathNot: '\\.test\\.ts$|/src/testing/' },
      to: { path: '^(test|examples|scripts)/|/src/testing/|\\.test\\.ts$' },
    },
    {
      name: 'core-imports-nothing',
      severity: 'error',
      from: { path: '^packages/core/src', pathNot: '\\.test\\.ts$' },
      to: { pathNot: '^packages/core/src|^(node:)?assert' },
    },
    { name: 'every-import-resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|build|node_modules)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'default'] },
  },
}
