import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json as readJson } from 'node:stream/consumers'
import type { TextGenerator } from '@hass-engine/core'

interface GenerateRequest {
  readonly text: string
  readonly sampling_params: { readonly max_new_tokens: number }
}

/** A generator behind SGLang's `/generate`: every event repeats the text so far, the last one tells of speculation. */
export async function standIn(
  generator: TextGenerator,
  speculate: boolean,
): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(async (request, response) => {
    const { text: prompt, sampling_params } = (await readJson(request)) as GenerateRequest
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const send = (data: unknown) => response.write(`data: ${JSON.stringify(data)}\n\n`)
    let text = ''
    const ids: number[] = []
    const stream = generator.streamText({ prompt, maxTokens: sampling_params.max_new_tokens, speculate })
    for await (const event of stream) {
      if (event.type !== 'text-delta') continue
      text += event.text
      ids.push(...event.tokens)
      send({ text, output_ids: ids, meta_info: { finish_reason: null, completion_tokens: ids.length } })
    }
    const { usage, finishReason, speculation } = await stream.result
    const meta_info = {
      finish_reason: { type: finishReason },
      prompt_tokens: usage.promptTokens,
      completion_tokens: ids.length,
      ...(speculate && { spec_verify_ct: speculation?.targetCalls, spec_num_correct_drafts: speculation?.accepted }),
    }
    send({ text, output_ids: ids, meta_info })
    response.end('data: [DONE]\n\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
