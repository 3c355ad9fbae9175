import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { AddonNotFoundError } from '../errors.js'
import { type Addon, addonFunctions, addonVersion } from './addon.js'

/** One place where the addon was looked for, and why it was not taken. */
export interface AddonAttempt {
  readonly path: string
  readonly reason: string
}

export interface LoadedAddon {
  readonly addon: Addon
  readonly path: string
}

export interface LoadAddonOptions {
  /** Environment to read `HASS_NATIVE_PATH` from. Defaults to `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Loads a module or resolves its path. Defaults to Node's own, from this package. */
  readonly require?: Pick<NodeJS.Require, 'resolve'> & ((id: string) => unknown)
}

const buildHint = 'Build it with "pnpm --filter @hass-engine/native build" (needs a C++17 compiler and make)'

/**
 * Loads the native addon from the first place that has a usable one: the file that `HASS_NATIVE_PATH` names (then no
 * other is tried), the prebuilt package of this platform, the local build of `@hass-engine/native`.
 *
 * @throws AddonNotFoundError `HASS_ERR_ADDON_NOT_FOUND` with every path tried, why it failed, and what to do
 */
export function loadAddon(options: LoadAddonOptions = {}): LoadedAddon {
  const { environment = process.env, require = createRequire(import.meta.url) } = options
  const attempts: AddonAttempt[] = []
  for (const path of candidatePaths(environment.HASS_NATIVE_PATH, require)) {
    try {
      const module = require(path)
      const flaw = findFlaw(module)
      if (!flaw) return { addon: module as Addon, path }
      attempts.push({ path, reason: flaw })
    } catch (error) {
      attempts.push({ path, reason: reasonOf(error) })
    }
  }
  const list = attempts.map(({ path, reason }) => `  ${path}: ${reason}`).join('\n')
  throw new AddonNotFoundError(
    `The native kernels could not be loaded. Tried:\n${list}\n${buildHint}, or set HASS_NATIVE_PATH to a built hass.node, or open the device { kind: 'reference' }.`,
    { attempts, platform: `${process.platform}-${process.arch}` },
  )
}

function candidatePaths(override: string | undefined, require: Pick<NodeJS.Require, 'resolve'>): string[] {
  if (override) return [override]
  const prebuilt = `@hass-engine/native-${process.platform}-${process.arch}`
  const local = '@hass-engine/native'
  return [`${prebuilt}/hass.node`, join(packageFolder(local, require), 'build', 'Release', 'hass.node')]
}

/** The folder of an installed package, or its name where it is not installed: then the attempt's reason says so. */
export function packageFolder(name: string, require: Pick<NodeJS.Require, 'resolve'>): string {
  try {
    return dirname(require.resolve(`${name}/package.json`))
  } catch {
    return name
  }
}

/** A binary of another version must not be called: its functions may mean something else. */
function findFlaw(module: unknown): string | undefined {
  const addon = module as Partial<Addon>
  if (addon?.version !== addonVersion) {
    return `has version ${String(addon?.version)} of the addon's functions, expected ${addonVersion}`
  }
  const missing = addonFunctions.filter((name) => typeof addon[name] !== 'function')
  return missing.length > 0 ? `lacks ${missing.join(', ')}` : undefined
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'MODULE_NOT_FOUND') return 'not found'
  return message.split('\n')[0]!
}
