export { type FoundCheckpoint, findCheckpoint, type LoadedCheckpoint } from './checkpoint/load-checkpoint.js'
export type { CheckpointManifest, RunHistory, RunIdentity, RunPosition } from './checkpoint/manifest.js'
export * from './corpus/corpus-events.js'
export { type CorpusRecipe, corpusRecipes } from './corpus/corpus-recipes.js'
export type { CorpusSettings } from './corpus/corpus-settings.js'
export { type CorpusWriter, type CorpusWriterOptions, openCorpusWriter } from './corpus/corpus-writer.js'
export { type CreateCorpusOptions, createCorpus } from './corpus/create-corpus.js'
export { type CorpusDialogue, readDialogues } from './corpus/dialogues.js'
export * from './corpus/errors.js'
export type { FeatureSource, ResponseRequest, SourcedResponse } from './corpus/feature-source.js'
export { createLocalFeatureSource, type LocalFeatureSourceOptions } from './corpus/local-feature-source.js'
export type { CorpusFile, CorpusManifest, FeatureStorage, ShardEntry } from './corpus/manifest.js'
export { type Corpus, type OpenCorpusOptions, openCorpus } from './corpus/open-corpus.js'
export { findPromptFiles, type PromptFile } from './corpus/prompt-files.js'
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
export { type AcceptanceCounts, sumAcceptance } from './evaluation/acceptance.js'
export { compareAcceptance } from './evaluation/compare.js'
export type { Estimate } from './evaluation/estimate.js'
export {
  type EvaluateHeadOptions,
  type EvaluationEvent,
  evaluateHead,
  type HeadSetting,
} from './evaluation/evaluate-head.js'
export { type EvaluateOnCorpusOptions, evaluateOnCorpus } from './evaluation/evaluate-on-corpus.js'
export { type ReplayOptions, replayResponses } from './evaluation/replay.js'
export { type EvaluationRow, type EvaluationSetting, summarizeSetting } from './evaluation/summarize.js'
export { type ExportHeadOptions, exportHead } from './export/export-head.js'
export { createHeadModel, type HeadModelOptions } from './export/head-model.js'
export { type HeadParameters, headConfig, shapeHeadParameters } from './export/head-parameters.js'
export { readTrainerInputs, type TrainerInputsOptions } from './export/trainer-inputs.js'
export * from './head-trainer.js'
export { NonFiniteError } from './non-finite-error.js'
export { type RecipeName, recipes } from './recipe/presets.js'
export { parseRecipe, planOf, type RecipePhase, readRecipe, type TrainingRecipe } from './recipe/recipe.js'
export { type TrainFromRecipeOptions, trainFromRecipe } from './recipe/train-from-recipe.js'
export type { HeadRecipe } from './recipe.js'
export { renderRunReport, writeRunReport } from './report/run-report.js'
export { TrainingError, type TrainingErrorCode } from './run/errors.js'
export * from './run/events.js'
export type { Interval } from './run/interval.js'
export { type LogLine, readLog } from './run/run-log.js'
export { holdsRun, type RunPlaces, runPlaces } from './run/run-places.js'
export { trainHead } from './run/train-head.js'
export type { EvaluatedHead, TrainHeadOptions } from './run/train-head-options.js'
export type { TrainingData } from './run/training-data.js'
export {
  learningRateAt,
  type Schedule,
  type TrainingPhase,
  type TrainingPlan,
  totalSteps,
} from './run/training-plan.js'
export { createWarmStart, type WarmStart, type WarmStartOptions } from './warm-start/warm-start.js'
