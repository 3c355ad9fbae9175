import { describe } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { openVocabulary } from './testing/test-vocabularies.js'
import { describeProperties } from './testing/vocabulary-properties.js'

describe.each(listGolden('tokenizers', /\.json$/))('%s', { timeout: 600_000 }, (file) => {
  const { source } = readGoldenJson('tokenizers', file)
  describeProperties(source, () => openVocabulary(source), 3000)
})
