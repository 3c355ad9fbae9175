import { writeFile } from 'node:fs/promises'
import { checkNumber } from '@hass-engine/core'
import { drawText } from '@hass-engine/draft-tree'
import { FileError, UsageError } from '../errors.js'
import { formatTable, toJson } from '../format.js'
import { parseNumber, parseSeed } from '../options.js'
import { closestOf } from './closest.js'
import type { Conversation } from './conversation.js'

/** What a command says; without words it ends the chat. */
export type Reply = string | undefined

interface SlashCommand {
  readonly argument?: string
  readonly help: string
  run(conversation: Conversation, argument: string): Reply | Promise<Reply>
}

const commands: Readonly<Record<string, SlashCommand>> = {
  help: { help: 'this list', run: () => helpText() },
  plain: {
    help: 'decode without speculation: the same text',
    run({ settings }) {
      settings.speculate = false
      return 'Speculation is off; the text is the same.'
    },
  },
  hass: {
    help: 'decode with speculation',
    run({ settings, canSpeculate }) {
      settings.speculate = true
      return canSpeculate
        ? 'Speculation is on; the text is the same.'
        : 'There is nothing to draft with: start with --draft and a head’s folder, or with --draft ngram.'
    },
  },
  tree: { help: 'the last draft tree, ✓ marks what was accepted', run: drawLastTree },
  seed: {
    argument: 'N|random',
    help: 'same seed, same text',
    run({ settings }, argument) {
      if (argument !== '') settings.seed = argument === 'random' ? undefined : parseSeed(argument)
      return settings.seed === undefined ? 'Each answer has a seed of its own.' : `The seed is ${settings.seed}.`
    },
  },
  temperature: {
    argument: 'X',
    help: '0 takes the likeliest token',
    run({ settings }, argument) {
      if (argument !== '') settings.temperature = checkNumber(parseNumber(argument), 'temperature', { min: 0 })
      return `The temperature is ${settings.temperature}.`
    },
  },
  system: {
    argument: 'TEXT',
    help: 'what the model is told before the conversation; without text: nothing',
    run({ settings }, argument) {
      settings.system = argument === '' ? undefined : argument
      return argument === '' ? 'The system message is gone.' : 'The system message is set.'
    },
  },
  reset: {
    help: 'forget the conversation',
    run(conversation) {
      conversation.reset()
      return 'The conversation begins anew.'
    },
  },
  save: { argument: 'FILE', help: 'write the conversation as JSON; never over a file', run: save },
  quit: { help: 'leave, as Ctrl-D does', run: () => undefined },
}

/** The commands as they are typed. */
export const slashCommandNames: readonly string[] = Object.keys(commands).map((name) => `/${name}`)

/**
 * Runs a line that begins with a slash.
 *
 * @throws UsageError for a command that does not exist, and what the command throws
 */
export async function runSlashCommand(conversation: Conversation, line: string): Promise<Reply> {
  const [, name = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line)!
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command) return command.run(conversation, argument.trim())
  const closest = closestOf(`/${name}`, slashCommandNames)
  throw new UsageError(
    `There is no command /${name}${closest ? `; did you mean ${closest}?` : '.'} /help lists them; begin with a space to send the line as it is.`,
  )
}

function helpText(): string {
  const rows = Object.entries(commands).map(([name, { argument = '', help }]) => [`/${name} ${argument}`, help])
  return formatTable([...rows, ['Ctrl-C', 'stop the answer; twice at the prompt: leave']], '  ')
}

function drawLastTree(conversation: Conversation): string {
  const { lastTree, canSpeculate } = conversation
  if (lastTree) {
    const { tree, verdict } = lastTree
    return drawText(tree, { accepted: verdict.path, tokenText: (token) => conversation.tokenText(token) })
  }
  return canSpeculate
    ? 'Nothing has been drafted yet.'
    : 'There is nothing to draft with: start with --draft and a head’s folder, or with --draft ngram.'
}

async function save(conversation: Conversation, path: string): Promise<string> {
  if (path === '') throw new UsageError('/save wants the name of a file.')
  const { settings, messages } = conversation
  const { temperature, seed } = settings
  await writeFile(path, toJson({ temperature, seed, messages }), { flag: 'wx' }).catch((cause: unknown) => {
    throw new FileError('Writing', path, cause)
  })
  return `Saved ${messages.length} messages to ${path}.`
}
