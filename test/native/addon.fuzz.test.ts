import { expect, it } from 'vitest'
import { addonFunctions } from '../../packages/kernels/src/addon/addon.js'
import { addon, doubling } from './addon-support.js'

/** Numbers of a fixed sequence: a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Values that a caller may hand over by mistake, and some that are right. */
function createValues(random: (below: number) => number, handles: number[]): () => unknown {
  const makers: (() => unknown)[] = [
    () => handles[random(handles.length)],
    () => handles[random(handles.length)],
    () => random(10),
    () => random(10),
    () => -random(10),
    () => random(100) / 7,
    () => [Number.NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 1e300, -0][random(9)],
    () => ['auto', 'portable', 'F32', 'Q4_0', '', '\0', '\ud800', 'x'.repeat(500)][random(8)],
    () => [undefined, null, true, Symbol('s'), 10n, {}, [], () => 1][random(8)],
    () => ({ valueOf: () => 1, toString: () => 'auto' }),
    () => new Proxy(new Uint8Array(8), {}),
    () => new Uint8Array(random(70)),
    () => new Int32Array(random(4)).fill(random(5)),
    () => new Float64Array(random(4)),
    () => new Float32Array(random(9)),
    () => new BigInt64Array(2),
    () => new DataView(new ArrayBuffer(9), random(9)),
    () => new Uint8Array(new SharedArrayBuffer(8)),
    () =>
      new Uint8Array(
        new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer)(4, { maxByteLength: 64 }),
      ),
    () => {
      const detached = new Int32Array(4)
      structuredClone(detached.buffer, { transfer: [detached.buffer] })
      return detached
    },
    () => doubling(4, 4).words,
    () => new Float64Array(2),
    () => Int32Array.of(random(5)),
    () => new Uint8Array(64),
  ]
  return () => makers[random(makers.length)]!()
}

it('no argument of any function does more than throw a typed error', async () => {
  const random = createRandom(20240607)
  const functions = addonFunctions.filter((name) => name !== 'failAllocation' && name !== 'measureDevice')
  const codes = new Map<string, number>()
  let calls = 0
  for (let round = 0; round < 20; round++) {
    const device = addon.createDevice('auto', 2)
    const { words, bindings } = doubling(4, 4)
    const made = [addon.createBuffer(device, 16), addon.createWeight(device, 0, 2, 4)]
    const handles = [device, ...made, addon.createProgram(device, words, bindings)]
    const value = createValues(random, handles)
    const pending: Promise<unknown>[] = []
    for (let call = 0; call < 2000; call++) {
      const name = functions[random(functions.length)]!
      // Few: else the round is over when they hit the device.
      if (name === 'dispose' && random(20) !== 0) continue
      const args = Array.from({ length: random(7) }, value)
      calls++
      try {
        const result = (addon[name] as (...args: unknown[]) => unknown)(...args)
        if (result instanceof Promise) pending.push(result)
        if (name.startsWith('create')) handles.push(result as number)
        codes.set('none', (codes.get('none') ?? 0) + 1)
      } catch (error) {
        const { code } = error as { code?: string }
        expect(code, `${name}: ${error}`).toMatch(/^HASS_ERR_(?!INTERNAL)/)
        codes.set(code!, (codes.get(code!) ?? 0) + 1)
      }
    }
    for (const { status, ...rest } of await Promise.allSettled(pending)) {
      if (status === 'rejected') expect((rest as PromiseRejectedResult).reason.code).toMatch(/^HASS_ERR_(?!INTERNAL)/)
    }
    for (const handle of handles) addon.dispose(handle)
  }
  expect(calls).toBeGreaterThan(20_000)
  // It has gone past the first check of many functions.
  expect(codes.get('none')).toBeGreaterThan(500)
  expect([...codes.keys()]).toEqual(expect.arrayContaining(['HASS_ERR_INVALID_ARGUMENT', 'HASS_ERR_DISPOSED']))
})
