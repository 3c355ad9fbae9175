import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { addBench } from './commands/bench.js'
import { addChat } from './commands/chat.js'
import { addConvert } from './commands/convert.js'
import { addCorpus } from './commands/corpus.js'
import { addDoctor } from './commands/doctor.js'
import { addEval } from './commands/eval.js'
import { addGenerate } from './commands/generate.js'
import { addInspect } from './commands/inspect.js'
import { addLaunch } from './commands/launch.js'
import { addTrain } from './commands/train.js'
import type { Outcome } from './outcome.js'
import type { Terminal } from './terminal.js'

/** The commands of `hass`. Parsing throws a CommanderError for wrong usage, and for `--help` one of exit code 0. */
export function createProgram(terminal: Terminal, outcome: Outcome): Command {
  const program = new Command('hass')
    .description('Exact speculative decoding: the text of the model, sooner.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print what a command takes')
    .helpCommand(false)
    // What stands behind a command is its own, also where commands have commands.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.output.write(text),
      writeErr: (text) => terminal.errors.write(text),
      // The line that is printed for every failure says it.
      outputError: () => {},
      getOutHelpWidth: () => terminal.output.columns ?? 100,
    })
  addChat(program, terminal, outcome)
  addGenerate(program, terminal)
  addInspect(program, terminal)
  addConvert(program, terminal)
  addLaunch(program, terminal, outcome)
  addDoctor(program, terminal)
  addBench(program, terminal, outcome)
  addTrain(program, terminal, outcome)
  addCorpus(program, terminal, outcome)
  addEval(program, terminal)
  return program
}

function version(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version
}
