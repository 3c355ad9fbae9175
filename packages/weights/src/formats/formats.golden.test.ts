import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HassError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { goldenPath, listGolden, readGoldenJson, readGoldenTensors } from '../../../../test/support/golden.js'
import { openFileSource } from '../source/file-source.js'
import type { TensorSource } from '../tensor-source.js'
import { openTensors } from './open-tensors.js'
import { openSafetensors } from './safetensors.js'
import { openTorch } from './torch/torch-file.js'

async function expectEqualToGolden(tensors: ReadonlyMap<string, TensorSource>, ...expectedFile: string[]) {
  const expected = readGoldenTensors(...expectedFile)
  expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort())
  for (const [name, { dtype, shape, data }] of expected) {
    const tensor = tensors.get(name)!
    expect({ name, dtype: tensor.dtype, shape: tensor.shape }).toEqual({ name, dtype, shape })
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    expect(Buffer.compare(await tensor.read(), bytes), name).toBe(0)
  }
}

describe('golden formats', () => {
  const pairs = listGolden('formats', /\.bin$/).map((file) => [file, file.replace('.bin', '.expected.safetensors')])
  it('has files', () => expect(pairs.length).toBeGreaterThan(0))

  it.each(pairs)('%s holds the tensors of %s', async (file, expected) => {
    const { tensors } = await openTorch(await openFileSource(goldenPath('formats', file!)))
    await expectEqualToGolden(tensors, 'formats', expected!)
  })

  it.each(pairs.map(([, expected]) => expected!))('%s is read as it is', async (file) => {
    const { tensors } = await openSafetensors(await openFileSource(goldenPath('formats', file)))
    await expectEqualToGolden(tensors, 'formats', file)
  })

  const heads = listGolden('heads').filter((name) => existsSync(goldenPath('heads', name, 'pytorch_model.bin')))
  it('has heads', () => expect(heads.length).toBeGreaterThan(0))

  it.each(heads)('heads/%s has one content in two formats', async (head) => {
    const { tensors } = await openTorch(await openFileSource(goldenPath('heads', head, 'pytorch_model.bin')))
    await expectEqualToGolden(tensors, 'heads', head, 'model.safetensors')
  })
})

describe('golden bad files', () => {
  interface Verdict {
    file: string
    expect: string
    why: string
    must_not_create?: string
  }
  const verdicts: Verdict[] = readGoldenJson('formats', 'bad', 'verdicts.json').files
  /** Of the processor, so that a busy machine does not count. */
  const maxMilliseconds = 100
  const maxArrayBuffers = 4 * 2 ** 20

  it('are all listed', () => {
    expect(verdicts.map(({ file }) => file).sort()).toEqual(
      listGolden(join('formats', 'bad')).filter((name) => name !== 'verdicts.json'),
    )
    expect(verdicts.every((verdict) => verdict.expect === 'reject')).toBe(true)
  })

  it.each(verdicts)('$file is refused: $why', async ({ file, must_not_create }) => {
    const before = process.memoryUsage()
    const start = process.cpuUsage()
    const error = await openTensors(goldenPath('formats', 'bad', file)).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    const { user, system } = process.cpuUsage(start)
    const milliseconds = (user + system) / 1000
    const after = process.memoryUsage()
    expect(HassError.isInstance(error), String(error)).toBe(true)
    expect((error as HassError).message).toContain(file)
    expect(milliseconds).toBeLessThan(maxMilliseconds)
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(maxArrayBuffers)
    if (must_not_create) {
      expect((error as HassError).code).toBe('HASS_ERR_PICKLE_GLOBAL')
      expect(existsSync(must_not_create)).toBe(false)
    }
  })
})
