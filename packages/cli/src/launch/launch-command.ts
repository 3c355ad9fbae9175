import { UsageError } from '../errors.js'

/** Settings of a draft tree in our terms: `dynamicTree` of `@hass-engine/draft-tree`. */
export interface TreeSettings {
  /** Draft passes after the root's. */
  readonly depth: number
  readonly topK: number
  /** Nodes, the root excluded. */
  readonly maxNodes: number
}

export interface LaunchRequest {
  readonly engine: 'sglang' | 'vllm'
  /** Folder or name of the target on the hub. */
  readonly target: string
  /** Folder or name of the head, as `hass convert` writes it; absent: no speculation. */
  readonly draft?: string
  /** True if the draft is DeepSeek's MTP layer on its own (`hass convert --to nextn`). */
  readonly isNextN: boolean
  readonly tree: TreeSettings
  readonly tokenMap?: string
  readonly host: string
  readonly port: number
  /** GPUs over which the target is cut. */
  readonly tensorParallel?: number
  /** For `readFeatures`: hidden states, no cache, no speculation. */
  readonly returnsFeatures: boolean
  /** Further words for the engine, as they are. */
  readonly more: readonly string[]
}

/** The reference settings of HASS and EAGLE-2 for 7B and 8B targets. */
export const headTree: TreeSettings = { depth: 5, topK: 10, maxNodes: 59 }
/** A chain of three, what SGLang takes for DeepSeek by itself: its latent attention wants topK 1. */
export const nextNTree: TreeSettings = { depth: 2, topK: 1, maxNodes: 3 }

/**
 * The words of a command line that serves a target with its head.
 *
 * @throws UsageError `HASS_ERR_USAGE` for what the engine cannot do
 */
export function launchCommand(request: LaunchRequest): string[] {
  if (request.returnsFeatures && request.draft !== undefined) {
    throw new UsageError('--features and --draft exclude each other: hidden states are returned without speculation.')
  }
  return request.engine === 'sglang' ? sglangCommand(request) : vllmCommand(request)
}

function sglangCommand(request: LaunchRequest): string[] {
  const { target, draft, tree, tokenMap, host, port, tensorParallel, returnsFeatures, isNextN, more } = request
  if (isNextN && tokenMap !== undefined) {
    throw new UsageError('--token-map is for EAGLE heads: a NextN layer drafts with the whole vocabulary.')
  }
  return [
    ...['python3', '-m', 'sglang.launch_server', '--model-path', target],
    ...(draft === undefined ? [] : ['--speculative-algorithm', 'EAGLE', '--speculative-draft-model-path', draft]),
    ...(draft === undefined ? [] : sglangTree(tree)),
    ...(draft === undefined || tokenMap === undefined ? [] : ['--speculative-token-map', tokenMap]),
    // Rows are sliced wrongly where a prompt is computed in parts.
    ...(returnsFeatures
      ? ['--enable-return-hidden-states', '--disable-radix-cache', '--chunked-prefill-size', '-1']
      : []),
    ...(tensorParallel === undefined ? [] : ['--tp-size', String(tensorParallel)]),
    ...['--host', host, '--port', String(port), '--enable-metrics'],
    ...more,
  ]
}

/**
 * Our terms in SGLang's: its steps are levels of the tree, of which we have one more than passes after the root's; its
 * draft tokens are the rows of a verify pass, the root among them (docs/advanced_features/speculative_decoding.md).
 */
export function sglangTree({ depth, topK, maxNodes }: TreeSettings): string[] {
  const steps = depth + 1
  const most = topK + depth * topK ** 2
  if (maxNodes > most) {
    throw new UsageError(
      `--max-nodes ${maxNodes} is more than a tree of --depth ${depth} and --top-k ${topK} can have: ${most}.`,
    )
  }
  if (topK === 1 && maxNodes !== steps) {
    throw new UsageError(`--max-nodes ${maxNodes} is no chain of --depth ${depth}: SGLang verifies all ${steps} nodes.`)
  }
  return [
    ...['--speculative-num-steps', String(steps)],
    ...['--speculative-eagle-topk', String(topK)],
    ...['--speculative-num-draft-tokens', String(maxNodes + 1)],
  ]
}

function vllmCommand(request: LaunchRequest): string[] {
  const { target, draft, tree, tokenMap, host, port, tensorParallel, returnsFeatures, isNextN, more } = request
  if (tokenMap !== undefined) throw new UsageError('--token-map is SGLang’s: vLLM drafts with the whole vocabulary.')
  if (returnsFeatures) throw new UsageError('--features is SGLang’s: vLLM returns no hidden states.')
  if (isNextN) {
    throw new UsageError(
      'vLLM takes the MTP layer from the target’s own files: put the trained one there, and give -- --speculative-config.',
    )
  }
  const speculation = {
    method: 'eagle',
    model: draft,
    // vLLM drafts chains, as long as our trees are deep.
    num_speculative_tokens: tree.depth + 1,
    draft_tensor_parallel_size: 1,
  }
  return [
    ...['vllm', 'serve', target],
    ...(draft === undefined ? [] : ['--speculative-config', JSON.stringify(speculation)]),
    ...(tensorParallel === undefined ? [] : ['--tensor-parallel-size', String(tensorParallel)]),
    ...['--host', host, '--port', String(port)],
    ...more,
  ]
}
