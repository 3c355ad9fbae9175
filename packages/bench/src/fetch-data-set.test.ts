import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadPrompts } from './data-set.js'
import { fetchDataSet, turnsDigest } from './fetch-data-set.js'

const questions = [
  { question_id: 7, category: 'qa', turns: ['Who?'], reference: ['somebody'] },
  { question_id: 8, turns: ['Where?', 'Why?'] },
]
const body = questions.map((question) => `${JSON.stringify(question)}\n`).join('')
const turnsSha256 = turnsDigest(questions.map(({ turns }) => ({ id: '', turns })))

let cache: string
let server: Server | undefined
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'hass-bench-'))
})
afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  await rm(cache, { recursive: true, force: true })
})

/** A server of one answer; returns where it is. */
async function serve(answer: RequestListener): Promise<string> {
  server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/question.jsonl`
}

const get = (url: string, options: object = {}) =>
  fetchDataSet('alpaca', { cache, source: { url, turnsSha256 }, ...options })

/** Nothing may be left where the data set would be, not even part of it. */
async function expectNothingKept(work: Promise<unknown>, message: RegExp) {
  const error: Error = await work.then(
    () => new Error('it succeeded'),
    (reason) => reason,
  )
  expect(error).toMatchObject({ code: 'HASS_ERR_DATA_SET' })
  expect(error.message).toMatch(message)
  expect(await readdir(cache)).toEqual([])
}

describe('fetchDataSet', () => {
  it('keeps what is asked, in the layout of all data sets', async () => {
    const path = await get(await serve((_, response) => response.end(body)))
    expect(path).toBe(join(cache, 'alpaca.jsonl'))
    expect(await readdir(cache)).toEqual(['alpaca.jsonl'])
    expect(await loadPrompts(path)).toEqual([
      { id: 'alpaca/7', category: 'qa', turns: ['Who?'] },
      { id: 'alpaca/8', turns: ['Where?', 'Why?'] },
    ])
  })

  it('follows a redirection', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/question.jsonl') response.writeHead(302, { location: '/there' }).end()
      else response.end(body)
    })
    await expect(get(url)).resolves.toContain('alpaca.jsonl')
  })

  it.each<[string, RequestListener, RegExp]>([
    ['one letter that differs', (_, response) => response.end(body.replace('Who', 'Whm')), /other questions/],
    ['fewer questions', (_, response) => response.end(body.split('\n')[0]), /other questions/],
    ['nothing', (_, response) => response.end(), /other questions/],
    ['a page of HTML', (_, response) => response.end('<html>'), /line 1: no JSON/],
    ['turns that are none', (_, response) => response.end('{"question_id":1,"turns":{}}'), /line 1: "turns"/],
    ['404', (_, response) => response.writeHead(404).end(), /answered 404/],
    ['a connection that breaks', (request) => request.socket.destroy(), /cannot be fetched/],
    [
      'half an answer',
      (_, response) => {
        response
          .writeHead(200, { 'content-length': String(body.length) })
          .write(body.slice(0, 20), () => response.destroy())
      },
      /cannot be fetched/,
    ],
    ['more than any data set', (_, response) => response.end(Buffer.alloc(9 * 2 ** 20)), /more than 8388608 bytes/],
  ])('refuses %s and keeps nothing', async (_, answer, message) => {
    await expectNothingKept(get(await serve(answer)), message)
  })

  it('gives up on a server that does not answer, and at an abort', async () => {
    const url = await serve(() => {})
    await expectNothingKept(get(url, { timeoutMs: 50 }), /nothing came within 50 ms/)
    const reason = new Error('enough')
    await expect(get(url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('refuses what is not to be fetched, and options that it does not know', async () => {
    await expect(fetchDataSet('gsm8k', { cache })).rejects.toThrow(/none to be fetched.*alpaca/)
    await expect(get('x', { urll: 1 })).rejects.toThrow('urll')
  })
})
