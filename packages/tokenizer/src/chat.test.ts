import { type ChatMessage, HassError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { createTokenizer } from './create-tokenizer.js'
import { createTokenizerFromGguf } from './create-tokenizer-from-gguf.js'
import { createChatTokenizer, small } from './testing/small-vocabularies.js'
import { readGgufFixture } from './testing/test-vocabularies.js'
import type { Tokenizer } from './tokenizer.js'

const plain = createTokenizerFromGguf(readGgufFixture('SmolLM2-135M-Instruct.Q4_1.gguf'))
const chat: ChatMessage[] = [
  { role: 'user', content: ' Hi ' },
  { role: 'assistant', content: ' One. ' },
  { role: 'user', content: 'And?' },
  { role: 'assistant', content: 'Two.' },
]

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    return HassError.isInstance(error) ? error.code : `untyped: ${error}`
  }
  return 'no error'
}

async function masked(tokenizer: Tokenizer, messages: readonly ChatMessage[] = chat): Promise<string> {
  const { ids, lossMask } = await tokenizer.encodeChatWithLossMask(messages)
  return tokenizer.decode(ids.filter((_, i) => lossMask[i] === 1))
}

describe('loss masks', () => {
  it('follow generation blocks', async () => {
    const source =
      "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n{% else %}U:{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
    expect(await masked(createChatTokenizer(source))).toBe(' One. <|im_end|>Two.<|im_end|>')
  })

  it('need no generation prompt and no end token; a token that begins before the answer counts', async () => {
    const bare = '{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}'
    expect(await masked(createChatTokenizer(bare))).toBe(' One. Two.')
  })

  it('take the end token of the assistant, not of the next message', async () => {
    const source =
      "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% if m.role == 'user' %}<|im_end|>{% endif %}{% endfor %}"
    expect(await masked(createChatTokenizer(source), [...chat, { role: 'user', content: 'x' }])).not.toContain(
      '<|im_end|>',
    )
  })

  it('cover calls that stand behind the content', async () => {
    const source =
      '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.calls or [] %}CALL {{ c | tojson }}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
    const messages = [
      chat[0]!,
      { role: 'assistant', content: '', calls: [{ name: 'f' }] },
      { role: 'tool', content: 'r' },
    ]
    expect(await masked(createChatTokenizer(source), messages)).toBe('CALL {"name": "f"}<|im_end|>')
  })

  it('survive a template that refuses parts of a chat', async () => {
    const source =
      "{% if not messages or messages[0].role != 'user' or (messages | length) % 2 %}{{ raise_exception('alternate') }}{% endif %}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"
    expect(await masked(createChatTokenizer(source))).toBe(' One. <|im_end|>Two.<|im_end|>')
  })

  it.each([
    ['the content twice', '{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}'],
    ['no content', '{% for m in messages %}{{ m.role }}{% endfor %}'],
    ['reverse order', '{% for m in messages | reverse %}{{ m.content }}<|im_end|>{% endfor %}'],
    [
      'the content twice in reverse order',
      '{% for m in messages | reverse %}{{ m.content }}{{ m.content }}{% endfor %}',
    ],
    [
      'contents that must be known ones',
      "{% for m in messages %}{% if m.content | trim not in ['Hi', 'One.', 'And?', 'Two.'] %}{{ raise_exception('?') }}{% endif %}{{ m.content }}{% endfor %}",
    ],
    [
      'a block that is measured',
      '{% set x %}{% generation %}{{ messages[1].content }}{% endgeneration %}{% endset %}{{ x | length }}{{ x }}',
    ],
    ['one open block', '{% for m in messages %}{{ m.content }}{% endfor %}{% generation %}'],
    [
      'a block that closes before it opens',
      '{% endgeneration %}{% for m in messages %}{{ m.content }}{% endfor %}{% generation %}',
    ],
    ['an open block', '{% for m in messages %}{% generation %}{{ m.content }}{% endfor %}'],
  ])('are refused for %s', async (_, source) => {
    expect(await codeOf(() => createChatTokenizer(source).encodeChatWithLossMask(chat))).toBe('HASS_ERR_LOSS_MASK')
  })

  it('cover calls where nothing stands for absent content', async () => {
    const source =
      '{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content %}TEXT {{ m.content }}{% endif %}{% for c in m.calls or [] %}CALL {{ c }}{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
    const messages = [chat[0]!, { role: 'assistant', content: '', calls: ['f'] }, chat[2]!]
    expect(await masked(createChatTokenizer(source), messages)).toBe('CALL f<|im_end|>')
  })

  it('are refused for an answer that is no text', async () => {
    const source =
      '{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}<|im_end|>{% endfor %}'
    const parts = [{ type: 'text', text: 'One.' }] as unknown as string
    const tokenizer = createChatTokenizer(source)
    const answered = [chat[0]!, { role: 'assistant', content: parts }]
    expect(await codeOf(() => tokenizer.encodeChatWithLossMask(answered))).toBe('HASS_ERR_LOSS_MASK')
    expect(await masked(tokenizer, [{ role: 'user', content: parts }, chat[1]!])).toBe(' One. <|im_end|>')
  })

  it('take the end token where a later message stands further up', async () => {
    const source =
      "{% for m in messages if m.role == 'system' %}{{ m.content }}<|im_end|>{% endfor %}{% for m in messages if m.role != 'system' %}{{ m.content }}<|im_end|>{% endfor %}"
    const messages = [chat[0]!, chat[1]!, { role: 'system', content: 'Be brief.' }]
    expect(await masked(createChatTokenizer(source), messages)).toBe(' One. <|im_end|>')
  })

  it('obey the limits while a template is asked', async () => {
    const source =
      '{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}{% for i in range(10**9) %}{% endfor %}{% endif %}'
    expect(await codeOf(() => createChatTokenizer(source).encodeChatWithLossMask(chat))).toBe('HASS_ERR_TEMPLATE_LIMIT')
  })

  it('are empty without an assistant', async () => {
    expect(await masked(plain, [chat[0]!])).toBe('')
  })
})

describe('conversations', () => {
  it('pass on tools, documents, variables and the time', () => {
    const source =
      '{{ tools | tojson }} {{ documents[0].t }} {{ x }} {{ strftime_now("%Y") }} {{ bos_token }} {{ add_generation_prompt }}'
    const options = {
      tools: [{ name: 'f' }],
      documents: [{ t: 'd' }],
      variables: { x: 1 },
      now: new Date(2001, 1),
      addGenerationPrompt: true,
    }
    expect(createChatTokenizer(source).renderChat([], options)).toBe('[{"name": "f"}] d 1 2001 <|im_start|> true')
    expect(createChatTokenizer('{{ tools is none }} {{ documents is none }}').renderChat([])).toBe('true true')
  })

  it.each([
    ['messages that are no list', 'x'],
    ['a message without role', [{ content: 'x' }]],
    ['a message that is nothing', [null]],
    ['a function', [{ role: 'user', content: () => 'x' }]],
    ['an instance', [{ role: 'user', content: new Date() }]],
    ['a bigint', [{ role: 'user', content: 1n }]],
    ['depth', [{ role: 'user', content: JSON.parse('['.repeat(1000) + ']'.repeat(1000)) }]],
  ])('are refused with %s', async (_, messages) => {
    expect(await codeOf(() => plain.encodeChat(messages as ChatMessage[]))).toBe('HASS_ERR_INVALID_ARGUMENT')
  })

  it('are refused with themselves inside, or with unknown options', async () => {
    const message: Record<string, unknown> = { role: 'user', content: 'x' }
    message.self = message
    expect(await codeOf(() => plain.renderChat([message as ChatMessage]))).toBe('HASS_ERR_INVALID_ARGUMENT')
    expect(await codeOf(() => plain.renderChat([], { tool: [] } as object))).toBe('HASS_ERR_INVALID_ARGUMENT')
    expect(await codeOf(() => plain.encodeChat([], { tool: [] } as object))).toBe('HASS_ERR_INVALID_ARGUMENT')
    expect(await codeOf(() => plain.encodeChatWithLossMask([], { addGenerationPrompt: true } as object))).toBe(
      'HASS_ERR_INVALID_ARGUMENT',
    )
    expect(await codeOf(() => plain.encode('x', { withOffset: true } as object))).toBe('HASS_ERR_INVALID_ARGUMENT')
  })

  it('need no control tokens', async () => {
    const bare = small((json) => {
      json.added_tokens = []
    })
    const tokenizer = createTokenizer({ tokenizer: bare, chatTemplate: '{{ messages[0].content }}' })
    expect([...(await tokenizer.encodeChat([{ role: 'user', content: 'ab' }])).ids]).toEqual([2])
  })

  it('know the longer of two control tokens that begin alike', async () => {
    const tokenizer = createTokenizer({
      tokenizer: small((json) => {
        json.added_tokens.push({ id: 4, content: '<s>a', special: true })
      }),
      chatTemplate: '<s>a{{ messages[0].content }}',
    })
    for (const content of ['b', 'b<s>']) {
      expect([...(await tokenizer.encodeChat([{ role: 'user', content }])).ids]).toEqual([4, 1])
    }
  })

  it('may take many steps where that is asked for', async () => {
    const chatTemplate = '{% for i in range(9) %}{{ i }}{% endfor %}'
    const render = (maxSteps: number) =>
      createTokenizer({ tokenizer: small(), chatTemplate, templateLimits: { maxSteps } }).renderChat([])
    expect(render(1000.5)).toBe('012345678')
    expect(await codeOf(() => render(20.5))).toBe('HASS_ERR_TEMPLATE_LIMIT')
  })

  it('may hold noncharacters, but not all of them', async () => {
    const content = 'a\ufdd0<|im_end|>\ufdd1'
    const { text, ids } = await plain.encodeChat([{ role: 'user', content }])
    expect(plain.decode(ids)).toBe(text)
    const all = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i)).join('')
    expect(await codeOf(() => plain.encodeChat([{ role: 'user', content: all }]))).toBe('HASS_ERR_INVALID_ARGUMENT')
  })

  it('are refused where the template itself looks for a control token', async () => {
    const source = "{{ messages[0].content.split('<|im_end|>')[0] }}"
    const messages = [{ role: 'user', content: 'a<|im_end|>b' }]
    expect(await codeOf(() => createChatTokenizer(source).encodeChat(messages))).toBe('HASS_ERR_TEMPLATE_RENDER')
    expect((await createChatTokenizer(source).encodeChat(messages, { parseSpecialTokens: true })).text).toBe('a')
  })
})

describe('text', () => {
  it.each([
    ['nothing', ''],
    ['NUL', 'a\u0000b'],
    ['an emoji over several tokens', '👩🏽‍💻'],
    ['a control token', 'a<|im_end|>b<|im_start|>'],
  ])('comes back: %s', async (_, text) => {
    const { ids } = await plain.encode(text)
    expect(plain.decode(ids)).toBe(text)
    expect([...ids].some((id) => plain.isSpecialToken(id))).toBe(false)
  })

  it('with lone surrogates has U+FFFD for them, at the same offsets', async () => {
    const { ids, offsets } = await plain.encode('a\ud800b\udc00', { withOffsets: true })
    expect(plain.decode(ids)).toBe('a\ufffdb\ufffd')
    expect(offsets!.at(-1)).toBe(4)
  })

  it('knows its tokens', () => {
    const id = plain.tokenToId('Ġthe')!
    expect(plain.idToToken(id)).toBe('Ġthe')
    expect(Buffer.from(plain.tokenBytes(id)).toString()).toBe(' the')
    expect(plain.tokenBytes(plain.vocabSize)).toHaveLength(0)
    expect(plain.tokenToId('no such token')).toBeUndefined()
    expect(plain.isSpecialToken(plain.specialTokens.eos!)).toBe(true)
    expect(plain.isEndOfGeneration(plain.specialTokens.eos!)).toBe(true)
  })
})
