export * from './head-trainer.js'
