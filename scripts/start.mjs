// `npm start`: sets up, builds and chats with the embedded model.
//   npm start -- --prompt "…"       answers once and exits; all flags of `hass generate` may follow
//   npm start -- --temperature 0.7  chats; all flags of `hass chat`
//   npm start -- doctor             any command of `hass`
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { bootstrap, environment, root } from './bootstrap.mjs'

const given = process.argv.slice(2)
const isCommand = given[0] !== undefined && !given[0].startsWith('-')
const asksOnce = given.some((argument) => /^(-p|--prompt(=.*)?)$/s.test(argument))
const args = isCommand ? given : [asksOnce ? 'generate' : 'chat', ...given]

try {
  bootstrap({ onlyResultsOnStdout: true })
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
const hass = join(root, 'packages', 'cli', 'dist', 'hass.js')
const { status, signal } = spawnSync(process.execPath, [hass, ...args], { env: environment, stdio: 'inherit' })
process.exitCode = signal ? 130 : (status ?? 1)
