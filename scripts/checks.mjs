// What must hold of the workspace besides its tests. Each check returns its findings, or nothing.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './bootstrap.mjs'

const command = (name, args, options) => () => {
  const { ok, output } = run(name, args, { quiet: true, ...options })
  return ok ? undefined : output
}

/** Folders of a workspace group that hold a package. */
export function packagesIn(group) {
  const folder = join(root, group)
  const names = existsSync(folder) ? readdirSync(folder).sort() : []
  return names.map((name) => join(folder, name)).filter((path) => existsSync(join(path, 'package.json')))
}

export function manifest(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/** The first JavaScript block of a README, or nothing. */
export function readmeProgram(folder) {
  const path = join(folder, 'README.md')
  return existsSync(path) ? /```(?:js|javascript)\n([\s\S]*?)```/.exec(readFileSync(path, 'utf8'))?.[1] : undefined
}

/** @param cwd where the program's imports resolve. Defaults to the README's own folder */
function runReadmeProgram(folder, cwd = folder) {
  const program = readmeProgram(folder)
  if (!program) return 'README.md is missing, or has no ```js block to run.'
  const { ok, output } = run(process.execPath, ['--input-type=module', '--eval', program], { quiet: true, cwd })
  return ok ? undefined : output
}

/** Name and function of every check, in the order in which they are run. */
export function workspaceChecks() {
  const published = packagesIn('packages')
  return [
    ['format and lint', command('biome', ['check', '--error-on-warnings', '.'])],
    ['types', command('tsc', ['--noEmit', '-p', 'tsconfig.json'])],
    ['unused code', command('knip', ['--no-progress'])],
    [
      'import direction and cycles',
      command('depcruise', ['--config', '.dependency-cruiser.cjs', 'packages', 'examples']),
    ],
    ['README program', () => runReadmeProgram(root, join(root, 'examples', 'own-backend'))],
    ...published.flatMap((folder) => {
      const { name } = manifest(folder)
      return [
        [`${name}: package contents (publint)`, command('publint', [folder, '--strict'])],
        [`${name}: package types (attw)`, command('attw', ['--pack', folder, '--profile', 'esm-only', '--quiet'])],
        [`${name}: README program`, () => runReadmeProgram(folder)],
      ]
    }),
    ...packagesIn('examples').map((folder) => [
      `${manifest(folder).name}: runs`,
      command('pnpm', ['--silent', 'start'], { cwd: folder }),
    ]),
  ]
}
