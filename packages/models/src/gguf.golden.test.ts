import { openModel } from '@hass-engine/weights'
import { describe, expect, it } from 'vitest'
import { floats, goldenPath, listGolden, readGoldenTensors } from '../../../test/support/golden.js'
import { createTargetModel, type TargetModelOptions } from './create-target-model.js'
import { expectClose, logitsTolerance } from './testing/compare.js'
import { deviceKinds, useDevice } from './testing/devices.js'
import { prefill } from './testing/run-steps.js'

const files = listGolden('gguf', /\.gguf$/).filter(
  (name) => listGolden('gguf').includes(expectedOf(name)) && isModel(name),
)

function expectedOf(file: string): string {
  return file.replace('.gguf', '.expected.safetensors')
}

function isModel(file: string): boolean {
  return [...readGoldenTensors('gguf', expectedOf(file)).keys()].some((name) => name.endsWith('.logits'))
}

it('finds whole models', () => expect(files.length).toBeGreaterThan(0))

describe.each(deviceKinds)('golden GGUF models on %s', (kind) => {
  const device = useDevice(kind)

  /** Calls `check` with each row of expected logits and those that a model loaded with `options` gives. */
  async function compareLogits(
    file: string,
    options: Partial<TargetModelOptions>,
    check: (found: Float32Array, expected: Float32Array, what: string, isExact: boolean) => void,
  ) {
    const expected = readGoldenTensors('gguf', expectedOf(file))
    const model = await createTargetModel({
      device: device(),
      model: await openModel(goldenPath('gguf', file)),
      ...options,
    })
    const inputs = [...expected].filter(([name]) => name.endsWith('.input_ids'))
    expect(inputs.length).toBeGreaterThan(0)
    for (const [name, { data }] of inputs) {
      const key = name.replace('.input_ids', '.logits')
      const { sequence, output } = await prefill(model, Array.from(data as BigInt64Array, Number))
      for (let row = 0; row < data.length; row++) {
        const rows = floats(expected, key).subarray(row * model.vocabSize, (row + 1) * model.vocabSize)
        check(await output.logits.read(row), rows, `${key}[${row}]`, model.precision.isExact)
      }
      sequence.dispose()
    }
    model.dispose()
  }

  it.each(files)('%s in float32', async (file) => {
    await compareLogits(file, { weightDtype: 'F32' }, (found, expected, what, isExact) => {
      expect(isExact).toBe(true)
      expectClose(found, expected, logitsTolerance, what)
    })
  })

  it.each(files)('%s as stored, with float32 activations', async (file) => {
    await compareLogits(file, { activationBlock: 0 }, (found, expected, what, isExact) => {
      if (isExact) expectClose(found, expected, logitsTolerance, what)
      else expect(relativeError(found, expected), what).toBeLessThan(0.02)
    })
  })

  it.each(files)('%s as stored, with int8 activations and a float16 cache', async (file) => {
    await compareLogits(file, { cacheDtype: 'F16' }, (found, expected, what) => {
      expect(relativeError(found, expected), what).toBeLessThan(0.05)
    })
  })
})

/** Root mean square of the difference, relative to that of the logits. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  let [error, power] = [0, 0]
  for (const [i, value] of expected.entries()) {
    error += (found[i]! - value) ** 2
    power += value ** 2
  }
  return Math.sqrt(error / power)
}
