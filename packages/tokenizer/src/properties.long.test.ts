import { describe } from 'vitest'
import { listGolden } from '../../../test/support/golden.js'
import { describeProperties } from './testing/vocabulary-properties.js'

describe.each(listGolden('tokenizers', /\.json$/))('%s', { timeout: 600_000 }, (file) => {
  describeProperties(file, 3000)
})
