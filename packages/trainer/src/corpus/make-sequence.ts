import type { ChatMessage } from '@hass-engine/core'
import type { Tokenizer } from '@hass-engine/tokenizer'
import type { CorpusSettings } from './corpus-settings.js'
import type { CorpusDialogue } from './dialogues.js'
import type { FeatureSource } from './feature-source.js'
import { type CorpusPrompt, drawPrompt } from './prompts.js'
import type { FeaturedSequence } from './sequence.js'

export interface SequenceMaker {
  readonly source: FeatureSource
  readonly tokenizer: Tokenizer
  readonly settings: CorpusSettings
  /** False where features are recomputed when they are read: then they are empty. */
  readonly keepsFeatures: boolean
  readonly signal?: AbortSignal
}

/** Templates that tell the date tell this one, so that a corpus is the same on every day. */
const templateDate = new Date('2025-01-01T00:00:00Z')

/** What becomes of a text of the list; undefined if it is too long, or would teach nothing. */
export function makeSequence(
  maker: SequenceMaker,
  text: CorpusPrompt | CorpusDialogue,
): Promise<FeaturedSequence | undefined> {
  return 'turns' in text ? answerPrompt(maker, text) : readDialogue(maker, text)
}

/**
 * Lets the target answer turn by turn. The sequence is what the target has seen at the last one: the conversation as
 * its template renders it, and its last answer token by token. Later turns for which there is no room are left out.
 */
async function answerPrompt(maker: SequenceMaker, prompt: CorpusPrompt): Promise<FeaturedSequence | undefined> {
  const { source, tokenizer, settings, signal } = maker
  const { temperature, seed } = drawPrompt(prompt.id, settings.temperatures, settings.salt)
  const messages: ChatMessage[] = []
  let last: FeaturedSequence | undefined
  for (const content of prompt.turns.slice(0, settings.maxTurns)) {
    messages.push({ role: 'user', content })
    const { ids } = await tokenizer.encodeChat(messages, { addGenerationPrompt: true, now: templateDate })
    const hasRoom = ids.length <= settings.maxPromptTokens && ids.length + settings.maxTokens <= source.maxContext
    if (!hasRoom) break
    const { maxTokens, endTokens } = settings
    const request = { tokens: Uint32Array.from(ids), maxTokens, temperature, seed, endTokens }
    const { tokens, features } = await source.respond({ ...request, ...(signal && { signal }) })
    const responseMask = new Uint8Array(tokens.length)
    responseMask.set(await maskOfAnswers(tokenizer, messages, tokens))
    responseMask.fill(1, ids.length)
    const { id, domain } = prompt
    const record = { id, domain, promptTokens: ids.length, temperature, seed: String(seed) }
    last = { ...record, tokens, responseMask, features: maker.keepsFeatures ? features : new Float32Array(0) }
    const answer = tokenizer.decode(tokens.subarray(ids.length), { skipSpecialTokens: true })
    messages.push({ role: 'assistant', content: answer })
  }
  return last
}

/** Which tokens are earlier answers, as far as the conversation without its last turn reads the same. */
async function maskOfAnswers(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  tokens: Uint32Array,
): Promise<Uint8Array> {
  const earlier = messages.slice(0, -1)
  if (earlier.length === 0) return new Uint8Array(0)
  const { ids, lossMask } = await tokenizer.encodeChatWithLossMask(earlier, { now: templateDate })
  const differs = Array.from(ids).findIndex((id, i) => id !== tokens[i])
  return lossMask.subarray(0, differs === -1 ? ids.length : differs)
}

/** A fixed conversation, cut to what there is room for. */
async function readDialogue(maker: SequenceMaker, dialogue: CorpusDialogue): Promise<FeaturedSequence | undefined> {
  const { source, tokenizer, settings, signal } = maker
  const { ids, lossMask } = await tokenizer.encodeChatWithLossMask(dialogue.messages, { now: templateDate })
  const length = Math.min(ids.length, settings.maxPromptTokens + settings.maxTokens, source.maxContext)
  const responseMask = lossMask.slice(0, length)
  // The first two tokens are what the first prediction is made from.
  const lastCounting = responseMask.lastIndexOf(1)
  if (lastCounting < 2) return undefined
  const tokens = Uint32Array.from(ids.slice(0, length))
  const features = maker.keepsFeatures ? await source.readFeatures(tokens, signal) : new Float32Array(0)
  const promptTokens = responseMask.lastIndexOf(0, lastCounting) + 1
  return { id: dialogue.id, domain: dialogue.domain, promptTokens, tokens, responseMask, features }
}
