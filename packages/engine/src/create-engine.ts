import { type CostTables, InvalidArgumentError, type TreePolicy } from '@hass-engine/core'
import type { DeviceDraftHead, DeviceTargetModel } from '@hass-engine/models'
import { exactMatch } from '@hass-engine/sampler'
import type { Tokenizer } from '@hass-engine/tokenizer'
import { Engine } from './engine.js'
import { PrefixCache } from './prefix-cache.js'
import { Scheduler } from './scheduler.js'
import { Speculation } from './speculation.js'

/** Loaded parts, and how they are to work together; see `EngineOptions` for what the numbers mean. */
export interface EngineComponents {
  readonly tokenizer: Tokenizer
  readonly target: DeviceTargetModel
  readonly draft: DeviceDraftHead | undefined
  readonly policy: TreePolicy
  readonly costs: CostTables | undefined
  readonly maxContext: number
  readonly maxSequences: number
  readonly prefillChunk: number
  readonly keptPrefixes: number
  /** What is freed with the engine, in this order. */
  readonly disposables: readonly { dispose(): void }[]
}

/**
 * Puts an engine together.
 *
 * @throws InvalidArgumentError for a policy that needs a draft head where there is none
 */
export function createEngine(components: EngineComponents): Engine {
  const { tokenizer, target, draft, policy, costs, maxContext, maxSequences, prefillChunk } = components
  if (policy.width > 0 && !draft) {
    throw new InvalidArgumentError(`The policy ${policy.name} needs a draft head; pass its folder as draft.`, {
      policy: policy.name,
    })
  }
  const speculation = new Speculation({
    target,
    policy,
    verifier: exactMatch(),
    prefillChunk,
    ...(draft && { draft }),
    ...(costs && { costs }),
  })
  const prefixes = new PrefixCache(components.keptPrefixes)
  const scheduler = new Scheduler({ speculation, prefixes, target, draft, maxSequences, prefillChunk })
  const disposables = [{ dispose: () => prefixes.clear() }, ...components.disposables]
  return new Engine({ tokenizer, target, draft, policy, costs, maxContext, scheduler, disposables })
}
