import type { TrainingRecipe } from '../recipe/recipe.js'

/** Five steps with one alignment step, three with two; a checkpoint after each. */
export const tinyRecipe: TrainingRecipe = {
  phases: [
    {
      name: 'one step',
      steps: 5,
      alignmentSteps: 1,
      learningRate: 1e-3,
      schedule: 'cosine',
      warmupShare: 0.4,
      accumulation: 1,
      weights: { feature: 1, token: 0.1, topK: 0 },
    },
    {
      name: 'two steps',
      steps: 3,
      alignmentSteps: 2,
      learningRate: 5e-4,
      schedule: 'linear',
      warmupShare: 0.4,
      accumulation: 2,
      weights: { feature: 1, token: 0.1, topK: 1 },
    },
  ],
  topK: 4,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clip: 0.5,
  seed: 3,
  heldOutShare: 0.3,
  draftVocabulary: 24,
  warmStartRows: 200,
  batch: { maxRows: 128, maxSequences: 4, maxLength: 64, contextRows: 8, countsPrompts: false },
  noise: 0.05,
  evaluation: { everyMinutes: 1000, sequences: 4 },
  checkpointMinutes: 1e-6,
}
