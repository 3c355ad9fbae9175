export { type CycleOptions, Speculation, type SpeculationCycle, type SpeculationOptions } from './speculation.js'
export type { SequenceOptions, SpeculativeSequence, TargetPass } from './speculative-sequence.js'
