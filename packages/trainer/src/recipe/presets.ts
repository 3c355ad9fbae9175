import type { RecipePhase, TrainingRecipe } from './recipe.js'

const paperPhase = {
  alignmentSteps: 3,
  schedule: 'linear',
  warmupShare: 0.01,
  accumulation: 1,
} as const

/**
 * The recipe of the paper and its reference implementation: 40 epochs without the top-K loss, then 10 with it, for a
 * target of some billions of parameters and 68 000 dialogues. Its batch is two sequences.
 *
 * Source: HASS (arXiv 2408.15766), section 4.1 and appendix; EAGLE's scripts, from which it takes the rest.
 */
const paper: TrainingRecipe = {
  phases: [
    { ...paperPhase, name: 'distill', epochs: 40, learningRate: 3e-5, weights: { feature: 1, token: 0.1, topK: 0 } },
    { ...paperPhase, name: 'top-k', epochs: 10, learningRate: 1e-5, weights: { feature: 1, token: 0.1, topK: 1 } },
  ],
  topK: 10,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clip: 0.5,
  seed: 0,
  heldOutShare: 0.02,
  draftVocabulary: null,
  warmStartRows: 100_000,
  batch: { maxRows: 4096, maxSequences: 2, maxLength: 2048, contextRows: null, countsPrompts: false },
  noise: 0.1,
  evaluation: { everyMinutes: 60, sequences: 200 },
  checkpointMinutes: 10,
}

const embeddedPhase = {
  schedule: 'cosine',
  warmupShare: 0.02,
  accumulation: 1,
  weights: { feature: 1, token: 0.1, topK: 1 },
} as const satisfies Partial<RecipePhase>

/**
 * For a small target on a few CPU cores, and few data: most of the steps with one alignment step, which cost a third,
 * then three; prompts count as well; a draft vocabulary that covers nearly every response token; short contexts.
 */
const embedded: TrainingRecipe = {
  phases: [
    { ...embeddedPhase, name: 'one step', steps: 5000, alignmentSteps: 1, learningRate: 4e-4 },
    { ...embeddedPhase, name: 'three steps', steps: 500, alignmentSteps: 3, learningRate: 1.5e-4 },
  ],
  topK: 10,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clip: 0.5,
  seed: 0,
  heldOutShare: 0.02,
  draftVocabulary: 8192,
  warmStartRows: 100_000,
  batch: { maxRows: 1024, maxSequences: 16, maxLength: 256, contextRows: 128, countsPrompts: true },
  noise: 0,
  evaluation: { everyMinutes: 20, sequences: 32 },
  checkpointMinutes: 10,
}

/** Named recipes. */
export const recipes = { paper, embedded } as const satisfies Readonly<Record<string, TrainingRecipe>>
export type RecipeName = keyof typeof recipes
