import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createMemoryTerminal, type MemoryTerminal } from '../testing/memory-terminal.js'
import { createScriptedEngine } from '../testing/scripted-engine.js'
import { ChatSession, type ChatSessionOptions } from './chat-session.js'
import { readHistory } from './history.js'

const ctrlC = '\u0003'
const ctrlD = '\u0004'

function createSession(terminal: MemoryTerminal, more: Partial<ChatSessionOptions> = {}) {
  const engine = createScriptedEngine()
  const session = new ChatSession({
    terminal,
    isInteractive: terminal.input.isTTY === true,
    history: [],
    historyPath: undefined,
    modelName: 'scripted',
    openEngine: async () => engine,
    generation: { maxTokens: 9, temperature: 0.25 },
    system: undefined,
    ...more,
  })
  return { engine, session }
}

describe('a chat with a pipe', () => {
  it('answers each line, prints answers alone, and says the rest beside them', async () => {
    const terminal = createMemoryTerminal({
      input: 'one two\n\n  three  \n/temperature 0.5\nlast, without a line break',
    })
    const { engine, session } = createSession(terminal)
    expect(await session.run()).toBe(0)
    expect(terminal.written.output).toBe('ONE TWO\nTHREE\nLAST, WITHOUT A LINE BREAK\n')
    expect(terminal.written.errors).toMatch(/^40\.0 tokens\/s · τ 2\.00 · 2 tokens · first after 12 ms\n/)
    expect(engine.requests.map(({ temperature }) => temperature)).toEqual([0.25, 0.25, 0.5])
    expect(engine.requests[1]!.messages).toEqual([
      { role: 'user', content: 'one two' },
      { role: 'assistant', content: 'ONE TWO' },
      { role: 'user', content: 'three' },
    ])
    expect(engine.isDisposed).toBe(true)
  })

  it('loads no model for an empty input, and says what to do', async () => {
    const terminal = createMemoryTerminal({ input: '' })
    const { session } = createSession(terminal, { openEngine: () => Promise.reject(new Error('loaded')) })
    expect(await session.run()).toBe(0)
    expect(terminal.written.output).toMatch(/npm start -- --prompt/)
  })

  it('goes on after a line that fails, and ends with status 1', async () => {
    const terminal = createMemoryTerminal({ input: 'fail\n/nope\ngo on\n' })
    const { engine, session } = createSession(terminal)
    expect(await session.run()).toBe(1)
    expect(terminal.written.errors).toMatch(/HASS_ERR_INTERNAL: scripted failure\nHASS_ERR_USAGE: .*\/nope/)
    expect(terminal.written.output).toBe('GO ON\n')
    expect(engine.requests.at(-1)!.messages).toEqual([{ role: 'user', content: 'go on' }])
  })

  it('ends at /quit', async () => {
    const terminal = createMemoryTerminal({ input: 'one\n/quit\ntwo\n' })
    await createSession(terminal).session.run()
    expect(terminal.written.output).toBe('ONE\n')
  })

  it('passes a failure to load on', async () => {
    const failure = new Error('no such model')
    const terminal = createMemoryTerminal({ input: 'one\n' })
    const { session } = createSession(terminal, { openEngine: () => Promise.reject(failure) })
    await expect(session.run()).rejects.toBe(failure)
  })
})

describe('a chat with a person', () => {
  const open = (more: Partial<ChatSessionOptions> = {}) => {
    const terminal = createMemoryTerminal({ isTTY: true, environment: { NO_COLOR: '1' } })
    const { engine, session } = createSession(terminal, more)
    return { terminal, engine, ended: session.run() }
  }

  it('stops an answer with Ctrl-C and goes on, what was said being part of the conversation', async () => {
    const { terminal, engine, ended } = open()
    terminal.input.write('forever\r')
    await terminal.shows(/on on /)
    terminal.input.write(ctrlC)
    await terminal.shows(/stopped after \d+ tokens/)
    terminal.input.write('next\r')
    await terminal.shows(/NEXT/)
    terminal.input.write('/quit\r')
    expect(await ended).toBe(0)
    const [question, answer] = engine.requests[1]!.messages!
    expect(question!.content).toBe('forever')
    expect(answer!.content).toMatch(/^(on )+$/)
  })

  it('leaves with Ctrl-C twice, but not where a line had been begun', async () => {
    const { terminal, engine, ended } = open()
    await terminal.shows(/lists the commands/)
    terminal.input.write('begun')
    terminal.input.write(ctrlC)
    await terminal.shows(/Ctrl-C again/)
    terminal.input.write('begun again')
    terminal.input.write(ctrlC)
    terminal.input.write('kept\r')
    await terminal.shows(/KEPT[^›]*tokens\/s[^›]*› /)
    terminal.input.write(ctrlC)
    terminal.input.write(ctrlC)
    expect(await ended).toBe(0)
    expect(engine.requests).toHaveLength(1)
  })

  it('leaves with Ctrl-D', async () => {
    const { terminal, ended } = open()
    await terminal.shows(/lists the commands/)
    terminal.input.write(ctrlD)
    expect(await ended).toBe(0)
    expect(terminal.written.output.endsWith('\n')).toBe(true)
  })

  it('ends the loading with Ctrl-C', async () => {
    const { terminal, ended } = open({
      openEngine: (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    })
    terminal.input.write(ctrlC)
    expect(await ended).toBe(130)
  })

  it('shows nothing of what is typed during an answer until the answer has ended', async () => {
    const { terminal, ended } = open()
    terminal.input.write('forever\r')
    await terminal.shows(/on on /)
    terminal.input.write('ahead')
    await terminal.shows(/(on ){9}/)
    expect(terminal.written.output).not.toMatch(/ahead/)
    terminal.input.write(ctrlC)
    await terminal.shows(/stopped after[\s\S]*› .*ahead/)
    terminal.input.write('\r')
    await terminal.shows(/AHEAD/)
    terminal.input.write('/quit\r')
    await ended
  })

  it('answers pasted lines one after the other, each below its line', async () => {
    const { terminal, ended } = open()
    terminal.input.write('first\rsecond\r/quit\r')
    await ended
    expect(terminal.written.output).toMatch(/FIRST\n[^\n]*tokens\/s[^\n]*\n› second\nSECOND\n/)
  })

  it('reads text of several bytes a character, whatever chunks they come in', async () => {
    const { terminal, engine, ended } = open()
    const bytes = Buffer.from('日本 👩🏼 ß\r')
    for (const byte of bytes) terminal.input.write(Buffer.of(byte))
    await terminal.shows(/SS/)
    terminal.input.write('/quit\r')
    await ended
    expect(engine.requests[0]!.messages![0]!.content).toBe('日本 👩🏼 ß')
  })

  it('completes commands, and recalls and keeps lines', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hass-chat-'))
    try {
      const path = join(folder, 'history')
      const { terminal, ended } = open({ history: ['latest', 'earlier'], historyPath: path })
      await terminal.shows(/lists the commands/)
      terminal.input.write('/tem')
      terminal.input.write('\t')
      await terminal.shows(/\/temperature/)
      terminal.input.write(' 0.75\r')
      await terminal.shows(/The temperature is 0\.75/)
      terminal.input.write('\u001b[A\u001b[A\r')
      await terminal.shows(/LATEST/)
      terminal.input.write('/quit\r')
      await ended
      expect(await readHistory(path)).toEqual(['/quit', 'latest', '/temperature 0.75'])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('shows control characters of an answer, and does not obey them', async () => {
    const { terminal, ended } = open({
      openEngine: async () => {
        const engine = createScriptedEngine()
        return {
          ...engine,
          streamText: (options) =>
            engine.streamText({ ...options, messages: [{ role: 'user', content: 'x\u001b[2Jy' }] }),
        }
      },
    })
    terminal.input.write('go\r')
    await terminal.shows(/X\\u001b\[2JY/)
    terminal.input.write('/quit\r')
    await ended
  })
})
