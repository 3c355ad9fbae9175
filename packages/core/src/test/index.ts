export { type ContractCase, createRandom } from './contract-case.js'
export {
  createScriptedDraft,
  createScriptedTarget,
  type NextLogits,
  type ScriptedModelOptions,
  tableLogits,
} from './scripted-models.js'
export { targetModelCases } from './target-model-cases.js'
export { textGeneratorCases } from './text-generator-cases.js'
export { assertValidTree, treePolicyCases } from './tree-policy-cases.js'
export { verifierCases } from './verifier-cases.js'
