import { Argument, type Command } from 'commander'
import { readHeadFacts } from '../launch/head-facts.js'
import { headTree, type LaunchRequest, launchCommand, nextNTree } from '../launch/launch-command.js'
import { runServer } from '../launch/run-server.js'
import { formatCommand } from '../launch/shell-quote.js'
import { parseCount } from '../options.js'
import type { Outcome } from '../outcome.js'
import { type Terminal, withoutControls, write } from '../terminal.js'

interface LaunchFlags {
  readonly target: string
  readonly draft?: string
  readonly nextn?: true
  readonly depth?: number
  readonly topK?: number
  readonly maxNodes?: number
  readonly tokenMap?: string
  readonly host: string
  readonly port: number
  readonly tensorParallel?: number
  readonly features?: true
  readonly run?: true
}

export function addLaunch(program: Command, terminal: Terminal, outcome: Outcome): void {
  program
    .command('launch')
    .description('the command line that serves a target with its head on SGLang or vLLM')
    .addArgument(new Argument('<engine>', 'what serves').choices(['sglang', 'vllm']))
    .argument('[more...]', 'behind --: further words for the engine')
    .requiredOption('--target <model>', 'folder or name of the target')
    .option('--draft <head>', 'folder or name of the head, as "hass convert" writes it')
    .option('--nextn', 'the head is DeepSeek’s MTP layer (default: if its config.json or name says so)')
    .option('--depth <passes>', 'draft passes after the root’s (default: 5; 2 for NextN)', parseCount)
    .option('--top-k <count>', 'candidates per row (default: 10; 1 for NextN)', parseCount)
    .option('--max-nodes <count>', 'nodes of a tree, the root excluded (default: 59; a chain for top-k 1)', parseCount)
    .option('--token-map <file>', 'reduced draft vocabulary (default: token_map.pt of the head’s folder)')
    .option('--host <address>', 'where it listens', '127.0.0.1')
    .option('--port <number>', 'on which port', parseCount, 30000)
    .option('--tensor-parallel <count>', 'GPUs over which the target is cut', parseCount)
    .option('--features', 'serve hidden states for training instead of drafting')
    .option('--run', 'start it here, instead of printing it')
    .action(async (engine: LaunchRequest['engine'], more: string[], flags: LaunchFlags) => {
      outcome.status = await launch(engine, more, flags, terminal)
    })
}

async function launch(
  engine: LaunchRequest['engine'],
  more: readonly string[],
  flags: LaunchFlags,
  { output }: Terminal,
): Promise<number> {
  const { target, draft, host, port, tensorParallel, depth, topK, maxNodes } = flags
  const facts = await readHeadFacts(draft)
  const isNextN = flags.nextn ?? facts.isNextN
  const reference = isNextN ? nextNTree : headTree
  const tree = { depth: depth ?? reference.depth, topK: topK ?? reference.topK }
  const tokenMap = flags.tokenMap ?? (engine === 'sglang' ? facts.tokenMap : undefined)
  const words = launchCommand({
    engine,
    target,
    isNextN,
    // A chain has as many nodes as levels.
    tree: { ...tree, maxNodes: maxNodes ?? (tree.topK === 1 ? tree.depth + 1 : reference.maxNodes) },
    host,
    port,
    returnsFeatures: flags.features ?? false,
    more,
    ...(draft !== undefined && { draft }),
    ...(tokenMap !== undefined && { tokenMap }),
    ...(tensorParallel !== undefined && { tensorParallel }),
  })
  if (flags.run) return runServer(words)
  await write(output, `${withoutControls(formatCommand(words))}\n`)
  return 0
}
