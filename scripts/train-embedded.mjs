// `npm run train:embedded`: from prompts to the embedded model's draft head. Every stage goes on where it was left.
//   --prompts DIR       folder of prompts-DOMAIN.jsonl (default: $HASS_PROMPTS_DIR)
//   --cache DIR         where corpus and run are kept (default: hass-engine/embedded-head in the user's cache folder)
//   --corpus DIR        learn from this corpus as it is, and make none
//   --recipe RECIPE     of `hass train` (default: embedded)
//   --max-minutes N     save a checkpoint and end the training's sitting after so long
//   --limit N           take so many prompts (for a trial)
//   --output DIR        where the best head goes in the end (default: head/ of the cache folder)
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { bootstrap, environment, root, say } from './bootstrap.mjs'

/** A failure that its message explains. */
class StageError extends Error {}

try {
  main()
} catch (error) {
  console.error(error instanceof StageError || error.code?.startsWith('ERR_PARSE_ARGS') ? error.message : error)
  process.exitCode = 1
}

function main() {
  const text = { type: 'string' }
  const { values } = parseArgs({
    options: {
      prompts: { ...text, default: process.env.HASS_PROMPTS_DIR },
      cache: text,
      corpus: text,
      recipe: { ...text, default: 'embedded' },
      'max-minutes': text,
      limit: text,
      output: text,
    },
  })
  const cache = resolve(values.cache ?? join(userCache(), 'hass-engine', 'embedded-head'))
  const corpus = values.corpus ? resolve(values.corpus) : join(cache, 'corpus')
  const run = join(cache, 'run')
  const output = resolve(values.output ?? join(cache, 'head'))
  if (!values.corpus && !values.prompts) {
    throw new StageError('There are no prompts: name their folder with --prompts or HASS_PROMPTS_DIR, or a --corpus.')
  }
  if (values.prompts && !values.corpus && !existsSync(values.prompts)) {
    throw new StageError(`The folder of prompts, ${values.prompts}, does not exist.`)
  }
  mkdirSync(cache, { recursive: true })
  bootstrap()
  const limits = values.limit ? ['--limit', values.limit] : []
  if (!values.corpus) {
    say(`Answering the prompts into ${corpus}`)
    hass('corpus', '--recipe', 'embedded', '--prompts', resolve(values.prompts), '--output', corpus, ...limits)
  }
  say(`Training in ${run}`)
  const isBegun = existsSync(join(run, 'checkpoints')) && readdirSync(join(run, 'checkpoints')).length > 0
  const minutes = values['max-minutes'] ? ['--max-minutes', values['max-minutes']] : []
  const recipe = existsSync(values.recipe) ? resolve(values.recipe) : values.recipe
  hass('train', corpus, '--output', run, '--recipe', recipe, ...(isBegun ? ['--resume'] : []), ...minutes)
  say('Measuring the best head')
  const best = join(run, 'best')
  // What is held out is a matter of the recipe.
  const share = existsSync(values.recipe) ? JSON.parse(readFileSync(values.recipe, 'utf8')).heldOutShare : 0.02
  const heldOut = ['--held-out-share', String(share), '--limit', '64']
  const evaluation = hass('eval', '--corpus', corpus, '--draft', best, ...heldOut, '--json')
  // Copied beside its place first: whoever reads it never finds half of a head.
  const fresh = `${output}.tmp`
  rmSync(fresh, { recursive: true, force: true })
  cpSync(best, fresh, { recursive: true })
  writeFileSync(join(fresh, 'evaluation.json'), evaluation)
  rmSync(output, { recursive: true, force: true })
  renameSync(fresh, output)
  say(`The head is in ${output}; how it was trained is shown by ${join(run, 'report.html')}`)
}

/** Runs a command of `hass` to its end; what it prints on stdout, if it is to be kept. */
function hass(...args) {
  const program = join(root, 'packages', 'cli', 'dist', 'hass.js')
  const isKept = args.includes('--json')
  const stdio = ['ignore', isKept ? 'pipe' : 'inherit', 'inherit']
  const { status, stdout } = spawnSync(process.execPath, [program, ...args], { env: environment, stdio })
  if (status !== 0) throw new StageError(`hass ${args[0]} has ended early; run the same command again to go on.`)
  return stdout
}

function userCache() {
  if (process.platform === 'win32') return process.env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches')
  return process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
}
