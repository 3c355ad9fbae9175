import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { headTree, type LaunchRequest, launchCommand, nextNTree, sglangTree } from './launch-command.js'
import { formatCommand, quoteWord } from './shell-quote.js'

const request: LaunchRequest = {
  engine: 'sglang',
  target: 'meta-llama/Llama-2-7b-chat-hf',
  draft: './head',
  isNextN: false,
  tree: { depth: 2, topK: 4, maxNodes: 15 },
  host: '127.0.0.1',
  port: 30000,
  returnsFeatures: false,
  more: [],
}

describe('SGLang', () => {
  it('is given the settings of its own example in its own terms', () => {
    expect(
      launchCommand({ ...request, tokenMap: './head/token_map.pt', tensorParallel: 2, more: ['--dtype', 'float16'] }),
    ).toEqual([
      ...['python3', '-m', 'sglang.launch_server', '--model-path', 'meta-llama/Llama-2-7b-chat-hf'],
      ...['--speculative-algorithm', 'EAGLE', '--speculative-draft-model-path', './head'],
      ...['--speculative-num-steps', '3', '--speculative-eagle-topk', '4', '--speculative-num-draft-tokens', '16'],
      ...['--speculative-token-map', './head/token_map.pt', '--tp-size', '2'],
      ...['--host', '127.0.0.1', '--port', '30000', '--enable-metrics', '--dtype', 'float16'],
    ])
  })

  it.each([
    ['the reference settings of HASS', headTree, ['6', '10', '60']],
    ['a chain for DeepSeek, as SGLang takes it by itself', nextNTree, ['3', '1', '4']],
    ['the least there is', { depth: 0, topK: 1, maxNodes: 1 }, ['1', '1', '2']],
  ])('is given %s', (_, tree, [steps, topK, tokens]) => {
    expect(sglangTree(tree)).toEqual([
      ...['--speculative-num-steps', steps, '--speculative-eagle-topk', topK],
      ...['--speculative-num-draft-tokens', tokens],
    ])
  })

  it.each([
    [{ depth: 1, topK: 2, maxNodes: 7 }, /can have: 6/],
    [{ depth: 5, topK: 1, maxNodes: 5 }, /no chain/],
  ])('is not given %j', (tree, message) => {
    expect(() => sglangTree(tree)).toThrow(
      expect.objectContaining({ code: 'HASS_ERR_USAGE', message: expect.stringMatching(message) }),
    )
  })

  it('serves plainly without a draft, and hidden states where asked', () => {
    const { draft: _, ...plain } = request
    expect(launchCommand(plain).join(' ')).not.toMatch(/speculative/)
    expect(launchCommand({ ...plain, returnsFeatures: true })).toEqual(
      expect.arrayContaining([
        '--enable-return-hidden-states',
        '--disable-radix-cache',
        '--chunked-prefill-size',
        '-1',
      ]),
    )
    expect(() => launchCommand({ ...request, returnsFeatures: true })).toThrow(/exclude each other/)
  })

  it('has no token map for NextN', () => {
    expect(() => launchCommand({ ...request, isNextN: true, tokenMap: 'x.pt' })).toThrow(/whole vocabulary/)
  })
})

describe('vLLM', () => {
  it('is given a chain as long as the tree is deep', () => {
    const words = launchCommand({ ...request, engine: 'vllm', tensorParallel: 4 })
    expect(words.slice(0, 4)).toEqual(['vllm', 'serve', 'meta-llama/Llama-2-7b-chat-hf', '--speculative-config'])
    expect(JSON.parse(words[4]!)).toEqual({
      method: 'eagle',
      model: './head',
      num_speculative_tokens: 3,
      draft_tensor_parallel_size: 1,
    })
    expect(words).toEqual(expect.arrayContaining(['--tensor-parallel-size', '4']))
  })

  it.each([
    [{ tokenMap: 'x.pt' }, /SGLang’s/],
    [{ isNextN: true }, /target’s own files/],
  ])('refuses %j', (more, message) => {
    expect(() => launchCommand({ ...request, engine: 'vllm', ...more })).toThrow(message)
  })
})

describe('a printed command line', () => {
  const hard = ["it's", 'a b', '$HOME', '`id`', '"x"', '', 'ü', '--', '-n', 'a\\', 'x;y', '{"a": 1}', '*']

  it('is read by a shell as it was meant', () => {
    const script = `for word in ${hard.map(quoteWord).join(' ')}; do printf '%s\\0' "$word"; done`
    expect(spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout.split('\0').slice(0, -1)).toEqual(hard)
  })

  it('has a line for each flag', () => {
    expect(formatCommand(['vllm', 'serve', 'a b', '--port', '1', '--x'], { A: 'b c' })).toBe(
      "A='b c' vllm serve 'a b' \\\n  --port 1 \\\n  --x",
    )
  })
})
