export {
  type ClientOptions,
  type LimitOptions,
  type RetryOptions,
  type ServerKind,
  serverKinds,
  type TimeoutOptions,
} from './client-options.js'
export { type Client, createClient } from './create-client.js'
export {
  ClientError,
  type ClientErrorCode,
  ConnectionError,
  HttpStatusError,
  RedirectError,
  ResponseError,
  ResponseSizeError,
  ServerError,
  StreamTruncatedError,
  TimeoutError,
  type TimeoutPhase,
  UnsupportedOptionError,
} from './errors.js'
export type { ContinuedText, ContinueRequest, RemoteFeatureSource, TextFeatures } from './feature-source.js'
export type { ServerInfo } from './speculation/server-info.js'
export { readSglangSpeculation } from './speculation/sglang-meta.js'
export {
  readSpeculationCounters,
  type SpeculationCounters,
  speculationBetween,
} from './speculation/speculation-counters.js'
