// A process of its own that saves a checkpoint and kills itself before its nth call of the file system: FOLDER STEP CALL.
import { saveCheckpoint } from '../checkpoint/save-checkpoint.js'
import { contentOf } from './checkpoint-content.js'
import { observeFileSystem } from './faulty-file-system.js'

const [folder, step, call] = process.argv.slice(2)
const fileSystem = observeFileSystem((_, number) => {
  if (number === Number(call)) process.kill(process.pid, 'SIGKILL')
})
await saveCheckpoint(folder!, contentOf(Number(step)), { fileSystem, keep: 2 })
