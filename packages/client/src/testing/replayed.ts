/*
 * Payloads of servers, put together by hand from their documentation and source, which is named beside each.
 */

/** SGLang, 2025: srt/managers/tokenizer_manager.py, `_calculate_spec_decoding_metrics`. */
export const sglangMeta2025 = {
  id: 'a',
  finish_reason: { type: 'length', length: 100 },
  prompt_tokens: 7,
  completion_tokens: 100,
  cached_tokens: 0,
  spec_accept_rate: 0.2,
  spec_accept_length: 2.5,
  spec_accept_token_num: 59,
  spec_draft_token_num: 280,
  spec_verify_ct: 40,
  spec_accept_histogram: [10, 12, 10, 7, 1],
}

/** SGLang, 2026: `fill_spec_decoding_meta` writes the new names, and the old ones beside them for one release. */
export const sglangMeta2026 = {
  id: 'a',
  finish_reason: { type: 'length', length: 100 },
  prompt_tokens: 7,
  completion_tokens: 100,
  cached_tokens: 0,
  reasoning_tokens: 0,
  spec_accept_rate: 59 / 280,
  spec_accept_length: 2.5,
  spec_num_correct_drafts: 59,
  spec_num_proposed_drafts: 280,
  spec_verify_ct: 40,
  spec_correct_drafts_histogram: [10, 12, 10, 7, 1],
}

/** SGLang, 2024: `spec_verify_ct` alone (test/srt/test_eagle_infer.py divides the completion tokens by it). */
export const sglangMeta2024 = {
  id: 'a',
  finish_reason: { type: 'stop', matched: 2 },
  prompt_tokens: 7,
  completion_tokens: 100,
  spec_verify_ct: 40,
}

/** SGLang: srt/entrypoints/http_server.py, `server_info`; the server's arguments, and states of its workers. */
export const sglangServerInfo = {
  model_path: 'meta-llama/Llama-2-7b-chat-hf',
  served_model_name: 'meta-llama/Llama-2-7b-chat-hf',
  speculative_algorithm: 'EAGLE',
  speculative_draft_model_path: 'lmsys/sglang-EAGLE-llama2-chat-7B',
  speculative_num_steps: 3,
  speculative_eagle_topk: 4,
  speculative_num_draft_tokens: 16,
  speculative_token_map: null,
  version: '0.5.6',
  internal_states: [
    { last_gen_throughput: 297.1, avg_spec_accept_length: 3.1 },
    { last_gen_throughput: 0, avg_spec_accept_length: 2.9 },
  ],
}

/** SGLang with `--enable-metrics`: srt/metrics/collector.py; one series for each rank, zero where nothing ran. */
export const sglangMetrics = `# HELP sglang:spec_accept_length The average acceptance length of speculative decoding.
# TYPE sglang:spec_accept_length gauge
sglang:spec_accept_length{engine_type="unified",model_name="m",tp_rank="0"} 3.2
sglang:spec_accept_length{engine_type="unified",model_name="m",tp_rank="1"} 0.0
# HELP sglang:gen_throughput The generation throughput (token/s).
# TYPE sglang:gen_throughput gauge
sglang:gen_throughput{engine_type="unified",model_name="m",tp_rank="0"} 297.1
`

/** vLLM: v1/spec_decode/metrics.py, as prometheus_client writes counters: with `_total`, and when they were made. */
export function vllmMetrics(drafts: number, draftTokens: number, accepted: number, perPosition: number[]): string {
  const engines = ['0', '1']
  const half = (count: number, engine: string) => (engine === '0' ? Math.floor(count / 2) : Math.ceil(count / 2))
  const lines = (name: string, count: number, label = '') =>
    engines.map((e) => `${name}{engine="${e}",model_name="m{},\\"x\\""${label}} ${half(count, e).toExponential(6)}`)
  return [
    '# HELP vllm:spec_decode_num_drafts_total Number of spec decoding drafts.',
    '# TYPE vllm:spec_decode_num_drafts_total counter',
    ...lines('vllm:spec_decode_num_drafts_total', drafts),
    ...lines('vllm:spec_decode_num_drafts_created', 1.7e9),
    ...lines('vllm:spec_decode_num_draft_tokens_total', draftTokens),
    ...lines('vllm:spec_decode_num_accepted_tokens_total', accepted),
    ...perPosition.flatMap((count, position) =>
      lines('vllm:spec_decode_num_accepted_tokens_per_pos_total', count, `,position="${position}"`),
    ),
    'process_resident_memory_bytes 1.5e+09 1700000000000',
    '',
  ].join('\n')
}

/** SGLang, `return_logprob` and `top_logprobs_num: 2`: `[logprob, id, text or null]` (docs, "/generate Endpoint"). */
export const sglangLogProbEvents = [1, 2].map((n) => ({
  text: ['a', 'ab'][n - 1],
  output_ids: [5, 6].slice(0, n),
  meta_info: {
    finish_reason: n === 2 ? { type: 'length', length: 2 } : null,
    prompt_tokens: 3,
    completion_tokens: n,
    output_token_logprobs: [
      [-0.5, 5, null],
      [-1.5, 6, null],
    ].slice(0, n),
    output_top_logprobs: [
      [
        [-0.5, 5, null],
        [-1, 9, null],
      ],
      [
        [-0.25, 8, null],
        [-1.5, 6, null],
      ],
    ].slice(0, n),
  },
}))

/** vLLM completions with `logprobs: 1` and `return_tokens_as_token_ids`: the chosen token is added to the top ones. */
export const vllmLogProbEvents = [
  {
    choices: [
      {
        index: 0,
        text: 'a',
        token_ids: [5],
        logprobs: {
          tokens: ['token_id:5'],
          token_logprobs: [-1.5],
          top_logprobs: [{ 'token_id:5': -1.5, 'token_id:8': -0.25 }],
          text_offset: [0],
        },
        finish_reason: 'length',
      },
    ],
  },
]

/** vLLM chat with `logprobs`, `top_logprobs: 1` and `return_tokens_as_token_ids`. */
export const vllmChatLogProbEvents = [
  { choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }] },
  {
    choices: [
      {
        index: 0,
        delta: { content: 'a' },
        token_ids: [5],
        logprobs: {
          content: [
            {
              token: 'token_id:5',
              logprob: -1.5,
              bytes: [97],
              top_logprobs: [{ token: 'token_id:8', logprob: -0.25, bytes: [98] }],
            },
          ],
        },
        finish_reason: 'length',
      },
    ],
  },
]

/**
 * SGLang, `return_hidden_states`: a list per pass, rows of the prompt first, then one row for each step after the first
 * token (examples/runtime/hidden_states/hidden_states_server.py).
 */
export function hiddenStatesAnswer(rows: readonly (readonly number[])[], cachedTokens = 0) {
  return {
    text: 'x',
    output_ids: [3],
    meta_info: {
      finish_reason: { type: 'length', length: 1 },
      prompt_tokens: rows.length,
      completion_tokens: 1,
      cached_tokens: cachedTokens,
      hidden_states: [rows, rows[0]],
    },
  }
}
