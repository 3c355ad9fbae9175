import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { spawnHass } from './testing/run-hass.js'

const exitOf = async (child: ReturnType<typeof spawnHass>) => {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return signal ?? code
}

describe('hass as a process', () => {
  it('answers piped lines and ends with the input', async () => {
    const child = spawnHass(['chat', '-n', '12'])
    child.stdin.end('Which planet is called the red planet?\nHow many days are in a week?\n')
    const [output, errors, exit] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)])
    expect(exit).toBe(0)
    expect(output.trimEnd().split('\n').length).toBeGreaterThanOrEqual(2)
    expect(errors.match(/tokens\/s · τ [1-9]\.\d\d · \d+ tokens · first after/g)).toHaveLength(2)
  })

  it.skipIf(process.platform === 'win32')('stops an answer at SIGINT, and answers the next line', async () => {
    const child = spawnHass(['chat', '-n', '1000'])
    const [output, errors] = [text(child.stdout), text(child.stderr)]
    child.stdin.write('Write a long story about a cat.\n')
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    child.stdin.end('Which planet is called the red planet?\n')
    expect(await exitOf(child)).toBe(0)
    expect(await errors).toMatch(/^stopped after \d+ tokens\n.*tokens\/s/)
    expect((await output).trimEnd().split('\n').length).toBeGreaterThanOrEqual(2)
  })

  it('is silent when nobody reads any more', async () => {
    const child = spawnHass(['generate', '-n', '1000', 'Write a long story about a cat.'])
    const errors = text(child.stderr)
    child.stdin.end()
    await once(child.stdout, 'data')
    child.stdout.destroy()
    expect(await exitOf(child)).toBe(0)
    expect(await errors).toBe('')
  })

  it('has the exit status of what went wrong', async () => {
    const child = spawnHass(['nope'])
    child.stdin.end()
    const [errors, exit] = await Promise.all([text(child.stderr), exitOf(child)])
    expect([errors, exit]).toEqual(["HASS_ERR_USAGE: unknown command 'nope'\n", 2])
  })
})
