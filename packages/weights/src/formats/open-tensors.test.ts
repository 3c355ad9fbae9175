import { describe, it } from 'vitest'
import { expectRefusal } from '../testing/expect-refusal.js'
import { openTensors } from './open-tensors.js'

describe('openTensors', () => {
  it('goes by the extension, and knows no other', async () => {
    await expectRefusal(openTensors('weights.h5'), 'HASS_ERR_FORMAT_UNKNOWN')
    await expectRefusal(openTensors('weights'), 'HASS_ERR_FORMAT_UNKNOWN')
    await expectRefusal(openTensors('missing.safetensors'), 'HASS_ERR_FILE_READ')
  })
})
