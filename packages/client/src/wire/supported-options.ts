import type { ServerKind } from '../client-options.js'
import { UnsupportedOptionError } from '../errors.js'
import type { GenerationRequest } from './generation-request.js'

const nobodyButHass = 'only servers of the kind "hass" have it'
const noOpenAi = 'the OpenAI interface has no such parameter; servers of the kinds "vllm" and "sglang" do'

/**
 * What each kind of server cannot honour, with what to do instead. An option that a server would ignore in silence is
 * refused here.
 */
const unsupported: Readonly<
  Record<
    ServerKind,
    readonly (readonly [option: string, isAsked: (request: GenerationRequest) => boolean, advice: string])[]
  >
> = {
  sglang: [
    ['speculate: false', ({ speculate }) => speculate === false, 'start one without --speculative-algorithm'],
    ['typicalP', ({ typicalP = 1 }) => typicalP !== 1, nobodyButHass],
    ['a seed above 2^53 - 1', hasLongSeed, 'JSON numbers are no longer exact there'],
  ],
  vllm: [
    ['speculate: false', ({ speculate }) => speculate === false, 'start one without --speculative-config'],
    ['typicalP', ({ typicalP = 1 }) => typicalP !== 1, nobodyButHass],
    ['a seed above 2^53 - 1', hasLongSeed, 'JSON numbers are no longer exact there'],
  ],
  openai: [
    ['speculate: false', ({ speculate }) => speculate === false, nobodyButHass],
    ['typicalP', ({ typicalP = 1 }) => typicalP !== 1, nobodyButHass],
    ['topK', ({ topK }) => topK !== undefined, noOpenAi],
    ['minP', ({ minP = 0 }) => minP !== 0, noOpenAi],
    ['repetitionPenalty', ({ repetitionPenalty = 1 }) => repetitionPenalty !== 1, noOpenAi],
    ['stopTokens', ({ stopTokens }) => stopTokens.length > 0, noOpenAi],
    ['topLogProbs', ({ topLogProbs }) => topLogProbs !== undefined, 'it names tokens by their texts, not by their ids'],
    [
      'a prompt or tokens without maxTokens',
      ({ messages, maxTokens }) => messages === undefined && maxTokens === undefined,
      'it would end after 16 tokens of its own accord: set maxTokens',
    ],
    ['a seed above 2^53 - 1', hasLongSeed, 'JSON numbers are no longer exact there'],
  ],
  hass: [],
}

/** @throws UnsupportedOptionError `HASS_ERR_UNSUPPORTED_OPTION` */
export function checkSupported(request: GenerationRequest, server: ServerKind): void {
  for (const [option, isAsked, advice] of unsupported[server]) {
    if (isAsked(request)) throw new UnsupportedOptionError(option, server, advice)
  }
}

function hasLongSeed({ seed }: GenerationRequest): boolean {
  return seed !== undefined && BigInt(seed) > BigInt(Number.MAX_SAFE_INTEGER)
}
