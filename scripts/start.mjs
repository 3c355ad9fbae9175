// `npm start`: sets up, builds and runs the main job.
import { join } from 'node:path'
import { bootstrap, root, run, say } from './bootstrap.mjs'

try {
  bootstrap()
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
say('Speculative decoding with a backend of your own (examples/own-backend)')
const { status } = run('pnpm', ['--silent', 'start', ...process.argv.slice(2)], {
  cwd: join(root, 'examples', 'own-backend'),
})
process.exitCode = status ?? 1
