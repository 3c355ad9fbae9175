import { openDevice } from '@hass-engine/kernels'
import { openModel } from '@hass-engine/weights'
import { readGoldenTensors } from '../../../../test/support/golden.js'
import { createTargetModel, type TargetModelOptions } from '../create-target-model.js'
import { Agreement, expectedText } from './agreement.js'
import { prefill } from './run-steps.js'

/** How near the embedded model comes to its float32 self over the golden texts. */
export async function measureAgreement(
  modelPath: string,
  options: Partial<TargetModelOptions> = {},
  maxCases = Number.POSITIVE_INFINITY,
): Promise<Agreement> {
  const tensors = readGoldenTensors('smollm2', 'golden.safetensors')
  const cases = [...tensors.keys()].filter((key) => key.endsWith('.input_ids')).map((key) => key.split('.')[0]!)
  const device = openDevice({ kind: 'cpu', threads: 2 })
  const model = await createTargetModel({ device, model: await openModel(modelPath), cacheTokens: 1024, ...options })
  const agreement = new Agreement()
  for (const name of cases.sort().slice(0, maxCases)) {
    const text = expectedText(tensors, name)
    const { sequence, output } = await prefill(model, text.tokens)
    for (let position = 0; position < text.tokens.length; position++) {
      agreement.add(await output.logits.read(position), text, position)
    }
    sequence.dispose()
  }
  model.dispose()
  device.dispose()
  return agreement
}
