import { performance } from 'node:perf_hooks'

/**
 * node-llama-cpp as a `TextGenerator`, greedy, over the same file and the same prompt tokens.
 *
 * @param tokenizer ours, so that both sides read the same prompt
 */
export async function createPeerGenerator({ modelPath, tokenizer, threads, contextTokens }) {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp')
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error })
  const model = await llama.loadModel({ modelPath })
  const context = await model.createContext({ contextSize: contextTokens, batchSize: 512, threads })
  const sequence = context.getSequence()
  const isEnd = new Set(tokenizer.endOfGenerationIds)

  return {
    async generateText({ messages, maxTokens }) {
      const { ids } = await tokenizer.encodeChat(messages, { addGenerationPrompt: true })
      await sequence.clearHistory()
      const tokens = []
      let hasEnded = false
      let firstTokenMs
      const startedAt = performance.now()
      for await (const token of sequence.evaluate([...ids], { temperature: 0, yieldEogToken: true })) {
        firstTokenMs ??= performance.now() - startedAt
        hasEnded = isEnd.has(token)
        if (!hasEnded) tokens.push(token)
        if (hasEnded || tokens.length === maxTokens) break
      }
      const totalMs = performance.now() - startedAt
      return {
        text: tokenizer.decode(tokens),
        tokens: Uint32Array.from(tokens),
        finishReason: hasEnded ? 'stop' : 'length',
        usage: { promptTokens: ids.length, completionTokens: tokens.length },
        timings: { prefillMs: firstTokenMs, firstTokenMs, decodeMs: totalMs - firstTokenMs, totalMs },
      }
    },
    streamText() {
      throw new Error('The peer is asked for whole texts.')
    },
    dispose: () => llama.dispose(),
  }
}
