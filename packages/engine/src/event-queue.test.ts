import { describe, expect, it } from 'vitest'
import { EventQueue } from './event-queue.js'

describe('EventQueue', () => {
  const create = () => {
    const left: true[] = []
    const queue = new EventQueue<number>(() => left.push(true))
    return { queue, left }
  }

  it('delivers values in order, before and after somebody waits, then its end', async () => {
    const { queue, left } = create()
    queue.push(1)
    expect(await queue.next()).toEqual({ done: false, value: 1 })
    const next = queue.next()
    queue.push(2)
    queue.push(3)
    queue.close()
    queue.push(4)
    const rest: number[] = []
    for await (const value of queue) rest.push(value)
    expect([await next, rest]).toEqual([{ done: false, value: 2 }, [3]])
    expect(await queue.next()).toEqual({ done: true, value: undefined })
    expect(left).toEqual([])
  })

  it('serves several that wait at once', async () => {
    const { queue } = create()
    const waiting = [queue.next(), queue.next(), queue.next()]
    queue.push(1)
    queue.push(2)
    queue.close()
    expect((await Promise.all(waiting)).map(({ value }) => value)).toEqual([1, 2, undefined])
  })

  it('delivers values before a failure, and the failure once, whatever was thrown', async () => {
    for (const error of [new Error('gone'), null, undefined]) {
      const { queue } = create()
      queue.push(1)
      queue.fail(error)
      queue.close()
      expect(await queue.next()).toEqual({ done: false, value: 1 })
      await expect(queue.next()).rejects.toBe(error)
      expect(await queue.next()).toEqual({ done: true, value: undefined })
    }
  })

  it('tells once that its reader has left early, and ends for everybody who waits', async () => {
    const { queue, left } = create()
    const next = queue.next()
    await queue.return()
    await queue.return()
    queue.push(1)
    expect(await next).toEqual({ done: true, value: undefined })
    expect(await queue.next()).toEqual({ done: true, value: undefined })
    expect(left).toEqual([true])
  })

  it('takes nobody to have left early who leaves after the end', async () => {
    const { queue, left } = create()
    queue.push(1)
    queue.close()
    for await (const _ of queue) break
    expect(left).toEqual([])
  })

  it('keeps nothing once values are discarded', async () => {
    const { queue } = create()
    queue.push(1)
    queue.discard()
    queue.push(2)
    queue.close()
    expect(await queue.next()).toEqual({ done: true, value: undefined })
  })
})
