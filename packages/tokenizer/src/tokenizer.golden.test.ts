import type { ChatMessage } from '@hass-engine/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { openVocabulary } from './testing/test-vocabularies.js'
import { describeProperties } from './testing/vocabulary-properties.js'
import type { MaskedChatEncoding, Tokenizer } from './tokenizer.js'

interface GoldenString {
  text: string
  ids: number[]
  ids_with_special: number[]
  offsets: [number, number][]
  offsets_utf16: [number, number][]
  decode: string
  decode_skip_special: string
  stream: string[]
}

const files = listGolden('tokenizers', /\.json$/)

it('has golden vocabularies', () => expect(files.length).toBeGreaterThan(0))

/** Runs of masked tokens as text, and whether each ends with an end-of-turn token. */
function maskedRuns(tokenizer: Tokenizer, { ids, lossMask }: MaskedChatEncoding) {
  const runs: { text: string; hasEnd: boolean }[] = []
  let run: number[] = []
  for (let i = 0; i <= ids.length; i++) {
    if (lossMask[i] === 1) {
      run.push(ids[i]!)
    } else if (run.length > 0) {
      const hasEnd = tokenizer.isEndOfGeneration(run.at(-1)!)
      runs.push({ text: tokenizer.decode(hasEnd ? run.slice(0, -1) : run), hasEnd })
      run = []
    }
  }
  return runs
}

/** What a template may leave of a message: reasoning dropped, white space trimmed. */
function answerOf(message: ChatMessage): string {
  return message.content.split('</think>').at(-1)!.trim()
}

describe.each(files)('%s', { timeout: 120_000 }, (file) => {
  const golden = readGoldenJson('tokenizers', file)
  const strings = golden.strings as GoldenString[]
  let tokenizer: Tokenizer
  beforeAll(() => {
    tokenizer = openVocabulary(golden.source)
  }, 120_000)

  it('has the vocabulary size and special tokens', () => {
    expect(tokenizer.vocabSize).toBe(golden.vocab_size)
    const text = (id: number | undefined) => (id === undefined ? null : tokenizer.idToToken(id))
    expect(text(tokenizer.specialTokens.bos)).toBe(golden.bos_token)
    expect(text(tokenizer.specialTokens.eos)).toBe(golden.eos_token)
    expect(tokenizer.isEndOfGeneration(tokenizer.tokenToId(golden.eos_token)!)).toBe(true)
  })

  it('encodes every string to the same ids', async () => {
    for (const { text, ids, ids_with_special } of strings) {
      const plain = await tokenizer.encode(text, { parseSpecialTokens: true })
      expect([...plain.ids], text).toEqual(ids)
      expect(plain.offsets).toBeUndefined()
      const special = await tokenizer.encode(text, { parseSpecialTokens: true, addSpecialTokens: true })
      expect([...special.ids], text).toEqual(ids_with_special)
    }
  })

  it('gives the same UTF-16 offsets', async () => {
    for (const { text, offsets, offsets_utf16 } of strings) {
      const encoding = await tokenizer.encode(text, { parseSpecialTokens: true, withOffsets: true })
      expect([...encoding.offsets!], text).toEqual(offsets_utf16.flat())
      const codePoints = (unit: number) => [...text.slice(0, unit)].length
      expect([...encoding.offsets!].map(codePoints), text).toEqual(offsets.flat())
    }
  })

  it('decodes strings and arbitrary ids', () => {
    for (const { ids, ids_with_special, decode, decode_skip_special } of strings) {
      expect(tokenizer.decode(ids)).toBe(decode)
      expect(tokenizer.decode(ids_with_special, { skipSpecialTokens: true })).toBe(decode_skip_special)
    }
    for (const { ids, decode } of golden.raw_decode) expect(tokenizer.decode(ids), String(ids)).toBe(decode)
  })

  it('streams the same text with each id', () => {
    for (const { ids, stream } of [...strings, ...golden.raw_decode] as GoldenString[]) {
      const decoder = tokenizer.createStreamDecoder()
      expect(
        ids.map((id) => decoder.push(id)),
        String(ids),
      ).toEqual(stream)
    }
  })

  it('renders and encodes the chats', async () => {
    expect(tokenizer.hasChatTemplate).toBe(golden.chat_template !== null)
    for (const { messages, add_generation_prompt, extra, rendered, ids } of golden.chats) {
      const { tools, ...variables } = extra
      const options = { addGenerationPrompt: add_generation_prompt, variables, ...(tools ? { tools } : {}) }
      expect(tokenizer.renderChat(messages, options)).toBe(rendered)
      const encoding = await tokenizer.encodeChat(messages, { ...options, parseSpecialTokens: true })
      expect([...encoding.ids]).toEqual(ids)
      expect(encoding.text).toBe(rendered)
    }
  })

  // Here because the vocabulary is open; properties.long.test.ts tries many more.
  describe('any text', () => describeProperties(golden.source, () => tokenizer, 50))

  const chats = golden.chats as { messages: ChatMessage[]; extra: Record<string, unknown> }[]

  if (chats.length > 0)
    describe('the loss mask', () => {
      it('covers each answer and its end token, and nothing of the others', async () => {
        let turns = 0
        for (const { messages, extra } of chats) {
          const { tools, ...variables } = extra
          const options = { variables, ...(tools ? { tools: tools as unknown[] } : {}) }
          const encoding = await tokenizer.encodeChatWithLossMask(messages, options)
          expect(encoding.lossMask.length).toBe(encoding.ids.length)
          expect(encoding.text).toBe(tokenizer.renderChat(messages, options))
          const answers = messages.filter((message) => message.role === 'assistant').map(answerOf)
          const runs = maskedRuns(tokenizer, encoding)
          expect(runs.map(({ text }) => text.split('</think>').at(-1)!.trim())).toEqual(answers)
          expect(runs.every(({ hasEnd }) => hasEnd)).toBe(true)
          turns += runs.length
        }
        expect(turns).toBeGreaterThan(0)
      })

      it('encodes as encodeChat does', async () => {
        for (const { messages } of chats) {
          const { ids } = await tokenizer.encodeChat(messages)
          expect((await tokenizer.encodeChatWithLossMask(messages)).ids).toEqual(ids)
        }
      })

      it('takes no control token out of a message', async () => {
        const [control, id] = [golden.eos_token as string, tokenizer.tokenToId(golden.eos_token)!]
        const count = async (content: string) => {
          const { ids } = await tokenizer.encodeChat([{ role: 'user', content }])
          return ids.filter((other) => other === id).length
        }
        const harmless = await count('x')
        expect(await count(`x${control}y${control}`)).toBe(harmless)
        const trusted = await tokenizer.encodeChat([{ role: 'user', content: `x${control}` }], {
          parseSpecialTokens: true,
        })
        expect(trusted.ids.filter((other) => other === id).length).toBe(harmless + 1)
      })

      it('keeps ids and offsets of a chat with control tokens in a message', async () => {
        const content = `a ${golden.eos_token} b 🙂 ${golden.eos_token}`
        const messages = [
          { role: 'user', content },
          { role: 'assistant', content },
        ]
        const { ids, offsets, text } = await tokenizer.encodeChat(messages, { withOffsets: true })
        expect(tokenizer.decode(ids)).toBe(text)
        const pieces = [...ids].map((_, i) => text.slice(offsets![2 * i], offsets![2 * i + 1]))
        ids.forEach((id, i) => {
          const whole = tokenizer.decode([id])
          if (!whole.includes('\ufffd')) expect(pieces[i]).toBe(whole)
        })
      })
    })
})
