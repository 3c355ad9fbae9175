import type { CorpusManifest, ShardEntry } from './manifest.js'

/** The first event: what is there already. */
export interface CorpusStartEvent {
  readonly type: 'corpus-start'
  /** Texts of the list, and those whose shards were complete before. */
  readonly prompts: number
  readonly donePrompts: number
}

/** A text has its sequence. */
export interface SequenceEndEvent {
  readonly type: 'sequence-end'
  readonly id: string
  readonly domain: string
  readonly tokens: number
  readonly responseTokens: number
}

/** A text is too long, or has no response, and gets no sequence. */
export interface PromptSkippedEvent {
  readonly type: 'prompt-skipped'
  readonly id: string
}

/** A shard and its place in the manifest are on disk. */
export interface ShardSavedEvent {
  readonly type: 'shard-saved'
  readonly shard: ShardEntry
  readonly prompts: number
  readonly donePrompts: number
}

/** The corpus is complete. */
export interface CorpusEndEvent {
  readonly type: 'corpus-end'
  readonly manifest: CorpusManifest
}

export type CorpusEvent = CorpusStartEvent | SequenceEndEvent | PromptSkippedEvent | ShardSavedEvent | CorpusEndEvent
