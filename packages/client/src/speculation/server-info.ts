import { arrayField, isObject, type JsonObject, numberField, textField } from '../wire/json.js'

/** What a server says of itself; fields that it does not tell are absent. */
export interface ServerInfo {
  readonly model?: string
  readonly draftModel?: string
  readonly version?: string
  readonly speculation?: {
    /** `EAGLE`, `NEXTN` …, as SGLang names it. */
    readonly algorithm: string
    readonly steps?: number
    readonly topK?: number
    /** Rows that one verify pass checks, the root among them. */
    readonly draftTokens?: number
    /** Since the server's start, all requests together, the bonus token included; mean over its workers. */
    readonly acceptanceLength?: number
  }
}

/** SGLang's `/server_info`: its arguments, and `internal_states` of its workers (srt/entrypoints/http_server.py). */
export function readSglangServerInfo(info: JsonObject): ServerInfo {
  const model = textField(info, 'model_path')
  const draftModel = textField(info, 'speculative_draft_model_path')
  const version = textField(info, 'version')
  const algorithm = textField(info, 'speculative_algorithm')
  const steps = numberField(info, 'speculative_num_steps')
  const topK = numberField(info, 'speculative_eagle_topk')
  const draftTokens = numberField(info, 'speculative_num_draft_tokens')
  const lengths = (arrayField(info, 'internal_states') ?? [])
    .map((state) => (isObject(state) ? numberField(state, 'avg_spec_accept_length') : undefined))
    .filter((length) => length !== undefined)
  const acceptanceLength = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
  return {
    ...(model !== undefined && { model }),
    ...(draftModel !== undefined && { draftModel }),
    ...(version !== undefined && { version }),
    ...(algorithm !== undefined && {
      speculation: {
        algorithm,
        ...(steps !== undefined && { steps }),
        ...(topK !== undefined && { topK }),
        ...(draftTokens !== undefined && { draftTokens }),
        ...(lengths.length > 0 && { acceptanceLength }),
      },
    }),
  }
}
