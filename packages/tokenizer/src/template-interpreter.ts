import { type Environment, Interpreter } from '@huggingface/jinja'
import { TokenizerError } from './errors.js'
import { type TemplateValue, ValueWeights } from './template-values.js'

/** Bounds of one rendering. What passes them is `HASS_ERR_TEMPLATE_LIMIT`. */
export interface TemplateLimits {
  /** Evaluated nodes, plus a share of the size of every value they give. Defaults to 500 000. */
  readonly maxSteps?: number
  /** UTF-16 units of the output and of any value on the way. Defaults to 16 Mi. */
  readonly maxLength?: number
  /** Nested evaluations. Defaults to 400. */
  readonly maxDepth?: number
}

type TemplateNode = NonNullable<Parameters<Interpreter['evaluate']>[0]>
/** The fields of syntax nodes that are looked at; the library does not export its node types. */
interface NodeFields {
  readonly type: string
  readonly operand: TemplateNode
  readonly filter: NodeFields
  readonly value: string
  readonly callee: NodeFields
  readonly args: readonly NodeFields[]
  readonly argument: TemplateNode
  readonly object: TemplateNode
  readonly property: NodeFields
  readonly computed: boolean
  readonly iterable: NodeFields
  readonly lhs: TemplateNode
  readonly left: TemplateNode
  readonly right: TemplateNode
  readonly operator: { readonly value: string }
  readonly body: readonly TemplateNode[]
}

const evaluatedType = 'Evaluated'

/**
 * The library's interpreter with every evaluation counted, so that a hostile template ends by count and not by clock.
 *
 * Each node's value passes through `evaluate`: its size is checked there and charged. An operation whose result can be
 * larger than a multiple of its operands (`replace`, `join`, `indent`, `split`, …) has its operands evaluated first,
 * and is only carried out when its result is known to fit.
 */
export class BoundedInterpreter extends Interpreter {
  private readonly limits: Required<TemplateLimits>
  private readonly weights: ValueWeights
  private steps = 0
  private depth = 0

  constructor(environment: Environment, limits: TemplateLimits) {
    super(environment)
    this.limits = { maxSteps: 500_000, maxLength: 2 ** 24, maxDepth: 400, ...limits }
    this.weights = new ValueWeights(
      (weight) => this.checkLength(weight),
      (steps) => this.spend(steps),
    )
  }

  /** Charges for work that is done outside of nodes. */
  spend(steps: number): void {
    this.steps += steps
    if (this.steps > this.limits.maxSteps) throw limitError('steps', this.limits.maxSteps)
  }

  checkLength(length: number): void {
    if (!(length <= this.limits.maxLength)) throw limitError('length', this.limits.maxLength)
  }

  override evaluate(node: TemplateNode | undefined, environment: Environment): TemplateValue {
    if (node?.type === evaluatedType) return (node as unknown as { evaluated: TemplateValue }).evaluated
    this.spend(1)
    if (this.depth >= this.limits.maxDepth) throw limitError('depth', this.limits.maxDepth)
    this.depth++
    try {
      const value = node ? this.evaluateGuarded(node, environment) : super.evaluate(node, environment)
      this.spend(this.weights.cost(value))
      return value
    } finally {
      this.depth--
    }
  }

  private evaluateGuarded(node: TemplateNode, environment: Environment): TemplateValue {
    const fields = node as unknown as NodeFields
    switch (node.type) {
      case 'FilterExpression':
        return super.evaluate(this.guardFilter(fields, environment), environment)
      case 'FilterStatement': {
        const operand = asNode({ type: 'Program', body: fields.body })
        return this.evaluate(asNode({ type: 'FilterExpression', operand, filter: fields.filter }), environment)
      }
      case 'MemberExpression':
        return this.evaluateMember(fields, environment)
      case 'BinaryExpression':
        return super.evaluate(this.guardBinary(node, fields, environment), environment)
      case 'For':
        return super.evaluate(this.guardFor(fields, environment), environment)
      case 'Macro':
      case 'CallStatement':
        // The library looks through the whole body each time one is defined.
        this.spend(this.weights.nodeCount(node))
        return super.evaluate(node, environment)
      default:
        return super.evaluate(node, environment)
    }
  }

  private guardFilter(node: NodeFields, environment: Environment): TemplateNode {
    const operand = this.evaluate(node.operand, environment)
    const name = node.filter.type === 'CallExpression' ? node.filter.callee.value : node.filter.value
    const weight = this.weights.weight(operand)
    this.spend(name === 'sort' || name === 'dictsort' ? weight >> 4 : weight >> 8)
    let filter = node.filter
    if (['join', 'replace', 'indent', 'tojson'].includes(name)) {
      const { args, positional, keywords } = this.evaluateArgumentNodes(node.filter.args ?? [], environment)
      if (node.filter.type === 'CallExpression') filter = { ...node.filter, args }
      const argument = (index: number, keyword: string) => positional[index] ?? keywords.get(keyword)
      if (name === 'join') this.checkLength(this.joinedLength(operand, argument(0, 'separator')))
      else if (name === 'replace') this.checkLength(this.replacedLength(operand, positional[0], positional[1]))
      else if (name === 'indent') this.checkLength(this.indentedLength(operand, argument(0, 'width')))
      else this.checkLength(this.jsonLength(operand, keywords))
    }
    return asNode({ ...node, operand: evaluated(operand), filter })
  }

  private evaluateArgumentNodes(nodes: readonly NodeFields[], environment: Environment) {
    const positional: TemplateValue[] = []
    const keywords = new Map<string, TemplateValue>()
    const args = nodes.map((node) => {
      const isSpread = node.type === 'SpreadExpression' || node.type === 'KeywordSpreadExpression'
      const isKeyword = node.type === 'KeywordArgumentExpression'
      const source = isSpread ? node.argument : isKeyword ? node.value : node
      const value = this.evaluate(source as unknown as TemplateNode, environment)
      if (node.type === 'SpreadExpression' && Array.isArray(value.value)) {
        for (const item of value.value) positional.push(item)
      } else if (node.type === 'KeywordSpreadExpression' && value.value instanceof Map) {
        for (const [key, item] of value.value) keywords.set(key, item as TemplateValue)
      } else if (isKeyword) {
        keywords.set((node as unknown as { key: { value: string } }).key.value, value)
      } else {
        positional.push(value)
      }
      if (isSpread) return { ...node, argument: evaluated(value) }
      return isKeyword ? { ...node, value: evaluated(value) } : evaluated(value)
    })
    return { args: args as unknown as NodeFields[], positional, keywords }
  }

  /** A string's `replace` and `split` may be stored and called later: they are exchanged for checked ones here. */
  private evaluateMember(node: NodeFields, environment: Environment): TemplateValue {
    const object = this.evaluate(node.object, environment)
    if (node.property.type === 'SliceExpression') this.spend(this.weights.weight(object) >> 4)
    const value = super.evaluate(asNode({ ...node, object: evaluated(object) }), environment)
    if (object.type !== 'StringValue' || value.type !== 'FunctionValue') return value
    const isReplace = value === object.builtins.get('replace')
    const isSplit = value === object.builtins.get('split')
    if (!isReplace && !isSplit) return value
    type StringMethod = (args: TemplateValue[], scope: Environment) => TemplateValue
    const method = value.value as StringMethod
    const checked: StringMethod = (args, scope) => {
      if (isReplace) this.checkLength(this.replacedLength(object, args[0], args[1]))
      else this.spend(this.pieces(object, args[0]))
      return method(args, scope)
    }
    return new (value.constructor as new (method: StringMethod) => TemplateValue)(checked)
  }

  private guardBinary(node: TemplateNode, fields: NodeFields, environment: Environment): TemplateNode {
    if (fields.operator.value !== 'in' && fields.operator.value !== 'not in') return node
    const left = this.evaluate(fields.left, environment)
    const right = this.evaluate(fields.right, environment)
    this.spendSearch(right, left)
    return asNode({ ...fields, left: evaluated(left), right: evaluated(right) })
  }

  private guardFor(node: NodeFields, environment: Environment): TemplateNode {
    const isFiltered = node.iterable.type === 'SelectExpression'
    const source = isFiltered ? node.iterable.lhs : (node.iterable as unknown as TemplateNode)
    const items = this.evaluate(source, environment)
    // The library makes two scopes for every item before the first is looked at.
    this.spend(8 * this.weights.itemCount(items))
    const iterable = isFiltered ? { ...node.iterable, lhs: evaluated(items) } : evaluated(items)
    return asNode({ ...node, iterable })
  }

  private joinedLength(operand: TemplateValue, separator: TemplateValue | undefined): number {
    const items = operand.type === 'StringValue' ? (operand.value as string).length : this.weights.itemCount(operand)
    this.spend(items)
    return this.weights.weight(operand) + items * stringLength(separator)
  }

  private replacedLength(
    operand: TemplateValue,
    from: TemplateValue | undefined,
    to: TemplateValue | undefined,
  ): number {
    const matches = this.pieces(operand, from)
    this.spend(matches)
    return stringLength(operand) + matches * stringLength(to)
  }

  private indentedLength(operand: TemplateValue, width: TemplateValue | undefined): number {
    const lines = typeof operand.value === 'string' ? countMatches(operand.value, '\n') + 1 : 0
    this.spend(lines)
    const spaces = width === undefined ? 4 : typeof width.value === 'number' ? Math.max(0, width.value) : 0
    this.checkLength(spaces)
    return stringLength(operand) + lines * spaces
  }

  private jsonLength(operand: TemplateValue, keywords: ReadonlyMap<string, TemplateValue>): number {
    const indent = keywords.get('indent')?.value
    const separators = keywords.get('separators')
    const perItem = (separators ? this.weights.weight(separators) : 2) + (typeof indent === 'number' ? indent : 0) * 64
    return this.weights.weight(operand) * Math.max(1, perItem)
  }

  /** An upper bound of the pieces that a string falls into at a separator, absent for white space. */
  private pieces(operand: TemplateValue, separator: TemplateValue | undefined): number {
    if (typeof operand.value !== 'string') return 0
    if (typeof separator?.value !== 'string') return countWords(operand.value) + 1
    this.spendSearch(operand, separator)
    return countMatches(operand.value, separator.value) + 1
  }

  /** Looking for a long needle in a long text may take the product of their lengths. */
  private spendSearch(text: TemplateValue, needle: TemplateValue): void {
    if (typeof text.value !== 'string' || typeof needle.value !== 'string') return
    this.spend(Math.ceil((text.value.length * Math.min(needle.value.length, text.value.length)) / 2 ** 14))
  }
}

function limitError(what: 'steps' | 'length' | 'depth', limit: number): TokenizerError {
  const unit = { steps: 'evaluation steps', length: 'characters in one value', depth: 'nested evaluations' }[what]
  return new TokenizerError(
    'templateLimit',
    `The chat template needs more than ${limit} ${unit}. If template and messages can be trusted, raise the limit in templateLimits.`,
    { limit, what },
  )
}

function asNode(fields: object): TemplateNode {
  return fields as TemplateNode
}

function evaluated(value: TemplateValue): TemplateNode {
  return asNode({ type: evaluatedType, evaluated: value })
}

function stringLength(value: TemplateValue | undefined): number {
  return typeof value?.value === 'string' ? value.value.length : 0
}

function countMatches(text: string, needle: string): number {
  if (needle === '') return text.length
  let count = 0
  for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, at + needle.length)) count++
  return count
}

function countWords(text: string): number {
  let count = 0
  const words = /\S+/g
  while (words.test(text)) count++
  return count
}
