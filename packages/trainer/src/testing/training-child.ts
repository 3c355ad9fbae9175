// A process of its own that trains the tiny run, to be killed: FOLDER, from whatever the folder holds.
import { holdsRun } from '../run/run-places.js'
import { trainHead } from '../run/train-head.js'
import { tinyRun } from './tiny-run.js'

const [folder] = process.argv.slice(2)
const resume = await holdsRun(folder!)
// Whoever kills counts from here.
process.stdout.write('ready\n')
for await (const _ of trainHead(tinyRun(folder!, { resume })));
