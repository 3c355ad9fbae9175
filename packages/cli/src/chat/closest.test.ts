import { expect, it } from 'vitest'
import { closestOf } from './closest.js'

it.each([
  ['/hepl', '/help'],
  ['/tre', '/tree'],
  ['/Quit', '/quit'],
  ['/anything', undefined],
  ['', undefined],
])('%j is closest to %j', (word, closest) => {
  expect(closestOf(word, ['/help', '/tree', '/quit'])).toBe(closest)
})
