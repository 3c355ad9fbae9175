import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileError, UsageError } from '../errors.js'
import { createScriptedEngine } from '../testing/scripted-engine.js'
import { Conversation } from './conversation.js'
import { runSlashCommand, slashCommandNames } from './slash-commands.js'

function createConversation(policyName?: string) {
  return new Conversation(createScriptedEngine(policyName), { maxTokens: 9 }, undefined)
}

const ask = (conversation: Conversation, question: string) =>
  conversation.ask(question, new AbortController().signal, async () => {})

describe('slash commands', () => {
  it('list themselves', async () => {
    const help = await runSlashCommand(createConversation(), '/help')
    for (const name of slashCommandNames) expect(help).toContain(name)
  })

  it('switch speculation', async () => {
    const conversation = createConversation()
    await runSlashCommand(conversation, '/plain')
    expect(conversation.settings.speculate).toBe(false)
    expect(await runSlashCommand(conversation, '/hass')).toMatch(/is on/)
    expect(conversation.settings.speculate).toBe(true)
    expect(await runSlashCommand(createConversation('plain'), '/hass')).toMatch(/nothing to draft with/)
  })

  it('draw the last tree with what was accepted', async () => {
    const conversation = createConversation()
    expect(await runSlashCommand(conversation, '/tree')).toMatch(/Nothing has been drafted/)
    expect(await runSlashCommand(createConversation('plain'), '/tree')).toMatch(/nothing to draft with/)
    await ask(conversation, 'hello')
    const lines = (await runSlashCommand(conversation, '/tree'))!.split('\n')
    expect(lines.map((line) => [line.match(/<\d>/)?.[0], line.endsWith('✓')])).toEqual([
      ['<5>', true],
      ['<6>', false],
      ['<7>', true],
    ])
  })

  it('set seed and temperature', async () => {
    const conversation = createConversation()
    const { settings } = conversation
    await runSlashCommand(conversation, '/seed 12')
    await runSlashCommand(conversation, '/temperature 0.5')
    expect([settings.seed, settings.temperature]).toEqual([12n, 0.5])
    expect(await runSlashCommand(conversation, '/seed')).toMatch(/12/)
    expect(await runSlashCommand(conversation, '/temperature')).toMatch(/0\.5/)
    await runSlashCommand(conversation, '/seed random')
    expect(settings.seed).toBeUndefined()
    for (const line of ['/seed x', '/seed -1', '/temperature hot', '/temperature -1', '/temperature NaN']) {
      await expect(runSlashCommand(conversation, line), line).rejects.toThrow()
    }
    expect([settings.seed, settings.temperature]).toEqual([undefined, 0.5])
  })

  it('set the system message and forget turns', async () => {
    const conversation = createConversation()
    await runSlashCommand(conversation, '/system Be brief.  ')
    await ask(conversation, 'hello')
    expect(conversation.messages.map(({ content }) => content)).toEqual(['Be brief.', 'hello', 'HELLO'])
    await runSlashCommand(conversation, '/reset')
    expect(conversation.messages).toEqual([{ role: 'system', content: 'Be brief.' }])
    await runSlashCommand(conversation, '/system')
    expect(conversation.messages).toEqual([])
  })

  it('save the conversation, but not over a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hass-save-'))
    try {
      const conversation = createConversation()
      await ask(conversation, 'hello')
      const path = join(folder, 'a chat.json')
      await runSlashCommand(conversation, `/save ${path}`)
      const saved = JSON.parse(await readFile(path, 'utf8')) as { messages: unknown }
      expect(saved.messages).toEqual(conversation.messages)
      await expect(runSlashCommand(conversation, `/save ${path}`)).rejects.toThrow(/file already exists \(EEXIST\)/)
      await expect(runSlashCommand(conversation, '/save /nowhere/at/all')).rejects.toThrow(FileError)
      await expect(runSlashCommand(conversation, '/save')).rejects.toThrow(UsageError)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('end the chat', async () => {
    expect(await runSlashCommand(createConversation(), '/quit')).toBeUndefined()
  })

  it.each(['/', '/nope', '/constructor', '/ help'])('refuse %j', async (line) => {
    await expect(runSlashCommand(createConversation(), line)).rejects.toThrow(UsageError)
  })

  it('name the command that was probably meant', async () => {
    await expect(runSlashCommand(createConversation(), '/hepl')).rejects.toThrow('did you mean /help?')
  })
})
