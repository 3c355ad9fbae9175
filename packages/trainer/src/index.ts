export { type CorpusWriter, type CorpusWriterOptions, openCorpusWriter } from './corpus/corpus-writer.js'
export * from './corpus/errors.js'
export type { FeatureSource, ResponseRequest, SourcedResponse } from './corpus/feature-source.js'
export type { CorpusFile, CorpusManifest, FeatureStorage, ShardEntry } from './corpus/manifest.js'
export { type Corpus, type OpenCorpusOptions, openCorpus } from './corpus/open-corpus.js'
export {
  type CorpusPrompt,
  drawPrompt,
  type PromptDraw,
  type ReadPromptsOptions,
  readPrompts,
  type TemperatureShare,
} from './corpus/prompts.js'
export type { CorpusSequence, FeaturedSequence, SequenceRecord } from './corpus/sequence.js'
export { identifyTarget, type TargetIdentity } from './corpus/target-identity.js'
export { createHeadTrainer, type HeadTrainerOptions } from './create-head-trainer.js'
export {
  createDataset,
  type DataCursor,
  type Dataset,
  type DatasetBatch,
  type DatasetOptions,
} from './dataset/dataset.js'
export {
  createDraftVocabulary,
  type DraftVocabulary,
  type DraftVocabularyOptions,
  type VocabularyCoverage,
} from './dataset/draft-vocabulary.js'
export { type Split, splitOf } from './dataset/split.js'
export * from './head-trainer.js'
export { NonFiniteError } from './non-finite-error.js'
export type { HeadRecipe } from './recipe.js'
