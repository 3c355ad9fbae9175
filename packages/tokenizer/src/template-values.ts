import type { Interpreter } from '@huggingface/jinja'

export type TemplateValue = ReturnType<Interpreter['evaluate']>

/**
 * How large the values of a template are: characters of strings, one for everything else, containers with all they
 * hold and one for each item. What a value prints as is a small multiple of its weight.
 */
export class ValueWeights {
  private readonly known = new WeakMap<object, number>()
  private readonly counted = new WeakMap<object, number>()
  private visits = 0

  /**
   * @param checkWeight called with partial weights, so that a value which doubles itself is never walked to its end
   * @param spend called with the steps that looking at values takes
   */
  constructor(
    private readonly checkWeight: (weight: number) => void,
    private readonly spend: (steps: number) => void,
  ) {}

  /** Steps to charge for a value. */
  cost(value: TemplateValue): number {
    const weight = this.weight(value)
    return typeof value.value === 'string' ? weight >> 7 : this.itemCount(value) >> 4
  }

  weight(value: TemplateValue): number {
    const weight = this.measure(value).weight
    this.checkWeight(weight)
    return weight
  }

  itemCount(value: TemplateValue): number {
    if (Array.isArray(value.value)) return value.value.length
    return value.value instanceof Map ? value.value.size : 0
  }

  /** Nodes of a syntax tree. */
  nodeCount(node: object): number {
    let count = this.counted.get(node)
    if (count === undefined) {
      count = 1
      for (const child of node instanceof Map ? [...node].flat() : Object.values(node)) {
        if (typeof child === 'object' && child !== null) count += this.nodeCount(child)
      }
      this.counted.set(node, count)
    }
    return count
  }

  /** Namespaces can be assigned to, so that nothing that holds one is remembered. */
  private measure(value: TemplateValue): { weight: number; isFixed: boolean } {
    if (typeof value.value === 'string') return { weight: value.value.length, isFixed: true }
    const items: unknown = value.value
    if (!Array.isArray(items) && !(items instanceof Map)) return { weight: 1, isFixed: true }
    const known = this.known.get(value)
    if (known !== undefined) return { weight: known, isFixed: true }
    let weight = 1
    let isFixed = value.type !== 'NamespaceValue'
    if (items instanceof Map) for (const key of items.keys()) weight += (key as string).length
    for (const item of items.values() as Iterable<TemplateValue>) {
      if (++this.visits % 8 === 0) this.spend(1)
      const measured = this.measure(item)
      weight += 1 + measured.weight
      isFixed &&= measured.isFixed
      this.checkWeight(weight)
    }
    if (isFixed) this.known.set(value, weight)
    return { weight, isFixed }
  }
}
