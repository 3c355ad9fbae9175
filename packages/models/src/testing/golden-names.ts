import { listGolden, readGoldenJson } from '../../../../test/support/golden.js'

/** The first golden model of a `model_type`. */
export function goldenModelOf(type: string): string {
  return listGolden('models').find((name) => readGoldenJson('models', name, 'config.json').model_type === type)!
}

/** The first golden head, and the model that it belongs to. */
export function goldenHead(): { readonly headName: string; readonly targetName: string } {
  const headName = listGolden('heads').find((name) => !name.includes('.'))!
  return { headName, targetName: readGoldenJson('heads', headName, 'golden.json').target }
}

/** The first whole golden GGUF model all of whose matrices the packed layouts hold exactly. */
export function goldenPackedModel(): string {
  const models: Record<string, Record<string, string>> = readGoldenJson('gguf', 'models.json').models
  return Object.keys(models).find((file) => {
    const types = Object.values(models[file]!)
    return types.includes('Q8_0') && types.every((type) => ['F32', 'Q8_0', 'Q4_0', 'Q4_1'].includes(type))
  })!
}
