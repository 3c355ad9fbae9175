import { openDevice } from '@hass-engine/kernels'
import { openModel } from '@hass-engine/weights'
import { it } from 'vitest'
import { createTargetModel } from './create-target-model.js'

const path = '/work/main/packages/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf'
it('x', async () => {
  const device = openDevice({ kind: 'cpu', threads: 2 })
  const opened = await openModel(path)
  const times = [[], []] as number[][]
  for (let k = 0; k < 24; k++) {
    ;(globalThis as { ahead?: boolean }).ahead = k % 2 === 1
    const t1 = performance.now()
    const model = await createTargetModel({ device, model: opened, cacheTokens: 64 })
    times[k % 2]!.push(performance.now() - t1)
    model.dispose()
  }
  for (const list of times) {
    list.sort((a, b) => a - b)
    console.log('min', list[0], 'q25', list[3], 'median', list[6])
  }
}, 120000)
