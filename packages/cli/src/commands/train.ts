import { openDevice } from '@hass-engine/kernels'
import { modelPath } from '@hass-engine/smollm2-135m-instruct'
import {
  readRecipe,
  recipes,
  runPlaces,
  type TrainFromRecipeOptions,
  type TrainingRecipe,
  trainFromRecipe,
  writeRunReport,
} from '@hass-engine/trainer'
import { openModel } from '@hass-engine/weights'
import { type Command, Option } from 'commander'
import { toJson } from '../format.js'
import { parseNumber } from '../options.js'
import type { Outcome } from '../outcome.js'
import { type Terminal, write } from '../terminal.js'
import { createTrainingProgress } from '../train/training-progress.js'

interface TrainFlags {
  readonly output: string
  readonly model?: string
  readonly recipe: string
  readonly start?: string
  readonly resume?: true
  readonly shards?: number
  readonly maxMinutes?: number
  readonly threads?: number
  readonly device?: 'auto' | 'cpu' | 'reference'
  readonly json?: true
}

export function addTrain(program: Command, terminal: Terminal, outcome: Outcome): void {
  program
    .command('train')
    .description('train a draft head from a corpus; Ctrl+C saves a checkpoint, --resume goes on')
    .argument('<corpus>', 'folder that "hass corpus" made, complete or growing')
    .requiredOption('-o, --output <folder>', 'the run: checkpoints, log.jsonl, report.html, and best/, the head')
    .option('-m, --model <path>', 'the target (default: the embedded SmolLM2-135M-Instruct)')
    .option('-r, --recipe <recipe>', `${Object.keys(recipes).join(', ')}, or a JSON file of one`, 'embedded')
    .option('--start <head>', 'a head to begin with (default: one made by regression)')
    .option('--resume', 'go on with the run in the folder')
    .option('--shards <count>', 'first shards of the corpus (default: those the run began with, else all)', parseNumber)
    .option('--max-minutes <minutes>', 'save a checkpoint and end after so long', parseNumber)
    .option('-t, --threads <count>', 'threads of the kernels (default: the cores)', parseNumber)
    .addOption(new Option('--device <kind>', 'where to compute').choices(['auto', 'cpu', 'reference']))
    .option('--json', 'print events as JSON, one a line')
    .action((corpus: string, flags: TrainFlags) => train(corpus, flags, terminal, outcome))
}

async function train(corpus: string, flags: TrainFlags, terminal: Terminal, outcome: Outcome): Promise<void> {
  const { output: folder, resume = false, shards, maxMinutes, threads, device: kind = 'auto' } = flags
  const recipe = await findRecipe(flags.recipe)
  const target = await openModel(flags.model ?? modelPath)
  const interruption = new AbortController()
  // A second one ends the process as ever.
  const interrupt = () => interruption.abort()
  process.once('SIGINT', interrupt)
  const progress = createTrainingProgress(terminal)
  const device = openDevice({ kind, ...(threads !== undefined && { threads }) })
  try {
    const options: TrainFromRecipeOptions = {
      folder,
      recipe,
      corpus,
      target,
      device,
      resume,
      signal: interruption.signal,
      ...(flags.start !== undefined && { start: await openModel(flags.start) }),
      ...(shards !== undefined && { shards }),
      ...(maxMinutes !== undefined && { maxMinutes }),
    }
    for await (const event of trainFromRecipe(options)) {
      progress.show(event)
      if (flags.json) await write(terminal.output, toJson({ ...event, parameters: undefined }))
      if (event.type === 'checkpoint-saved') await writeRunReport(folder)
      if (event.type === 'finish' && event.reason === 'aborted') outcome.status = 130
    }
    await writeRunReport(folder)
  } finally {
    process.off('SIGINT', interrupt)
    progress.stop()
    device.dispose()
  }
  const { best, report } = runPlaces(folder)
  if (!flags.json) await write(terminal.output, `The best head is in ${best}, the report in ${report}.\n`)
}

/** A recipe by its name, or from a file. */
async function findRecipe(nameOrPath: string): Promise<TrainingRecipe> {
  return recipes[nameOrPath as keyof typeof recipes] ?? readRecipe(nameOrPath)
}
