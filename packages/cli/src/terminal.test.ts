import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { withoutControls, write } from './terminal.js'

it('shows what would steer a terminal, and keeps text', () => {
  expect(withoutControls('a\tb\r\nc\u001b[2Jd\u0007\u009be\u202ef 日本 👩🏼')).toBe(
    'a\tb\nc\\u001b[2Jd\\u0007\\u009be\\u202ef 日本 👩🏼',
  )
})

it('waits for a slow reader', async () => {
  let isRead = false
  const slow = new Writable({
    highWaterMark: 1,
    write(_, __, done) {
      setTimeout(() => {
        isRead = true
        done()
      }, 20)
    },
  })
  await write(slow, 'text')
  expect(isRead).toBe(true)
})
