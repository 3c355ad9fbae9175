import { shown, WeightsError } from '../../errors.js'

/** A global of the pickle that is on the caller's list. It is a name, never a function. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** Tuples are told from lists: a call takes its arguments as a tuple. */
export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** Anything that the caller's `reduce` or `persistentLoad` made. */
export interface PickleObject {
  readonly kind: string
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleGlobal
  | PickleTuple
  | PickleObject
  | PickleValue[]
  | Map<PickleValue, PickleValue>

export interface UnpickleOptions {
  /** The file's name, for messages. */
  readonly name: string
  /** Globals that may be named, as `module.attribute`. */
  readonly globals: ReadonlySet<string>
  /** What a call of an allowed global gives. */
  reduce(global: PickleGlobal, args: readonly PickleValue[]): PickleValue
  /** What a persistent id stands for. */
  persistentLoad(id: PickleValue): PickleValue
}

export interface Unpickled {
  readonly value: PickleValue
  /** Where the pickle ends: behind its STOP. */
  readonly end: number
}

const mark = Symbol('mark')
const maxLineLength = 256
/** Tensors in dictionaries nest about five deep. */
const maxOpenMarks = 256

type StackItem = PickleValue | typeof mark

/**
 * Runs one pickle of protocol 2 as a machine that can build numbers, strings, tuples, lists and dictionaries, and
 * nothing else: globals are names checked against a list, calls are the caller's own cases.
 *
 * Work and memory are linear in the pickle's bytes: nothing recurses, memoized values are shared.
 *
 * @throws WeightsError `HASS_ERR_PICKLE_GLOBAL`, `HASS_ERR_PICKLE_OPCODE`, `HASS_ERR_PICKLE`, `HASS_ERR_TRUNCATED`
 */
export function unpickle(bytes: Uint8Array, start: number, options: UnpickleOptions): Unpickled {
  return new PickleMachine(bytes, start, options).run()
}

class PickleMachine {
  readonly #stack: StackItem[] = []
  readonly #memo = new Map<number, PickleValue>()
  #openMarks = 0
  readonly #view: DataView
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
    private readonly options: UnpickleOptions,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  run(): Unpickled {
    for (;;) {
      const at = this.at
      const opcode = this.#uint8()
      if (opcode === 0x2e) break
      const operation = operations.get(opcode)
      if (!operation) {
        throw new WeightsError(
          'HASS_ERR_PICKLE_OPCODE',
          `${this.options.name} has the pickle opcode 0x${opcode.toString(16).padStart(2, '0')} at byte ${at}, which builds no tensors and is not run.`,
          { file: this.options.name, opcode, at },
        )
      }
      operation(this)
    }
    const value = this.pop()
    if (this.#stack.length > 0) this.fail('leaves values behind')
    return { value, end: this.at }
  }

  push(value: StackItem): void {
    this.#stack.push(value)
  }

  pushMark(): void {
    this.#openMarks++
    if (this.#openMarks > maxOpenMarks) this.fail(`nests more than ${maxOpenMarks} deep`)
    this.#stack.push(mark)
  }

  pop(): PickleValue {
    const value = this.#stack.pop()
    if (value === undefined || value === mark) this.fail('takes a value from an empty stack')
    return value
  }

  top(): PickleValue {
    const value = this.pop()
    this.push(value)
    return value
  }

  popToMark(): PickleValue[] {
    const index = this.#stack.lastIndexOf(mark)
    if (index < 0) this.fail('has no mark where one is needed')
    const items = this.#stack.splice(index) as PickleValue[]
    items.shift()
    this.#openMarks--
    return items
  }

  popTuple(length: number): void {
    const items: PickleValue[] = []
    for (let i = 0; i < length; i++) items.unshift(this.pop())
    this.push(new PickleTuple(items))
  }

  append(items: readonly PickleValue[]): void {
    const list = this.top()
    if (!Array.isArray(list)) this.fail('appends to what is no list')
    else for (const item of items) list.push(item)
  }

  setItems(items: readonly PickleValue[]): void {
    const map = this.top()
    if (!(map instanceof Map) || items.length % 2 !== 0) this.fail('sets items of what is no dictionary')
    for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!)
  }

  global(): void {
    const name = `${this.#line()}.${this.#line()}`
    if (!this.options.globals.has(name)) {
      throw new WeightsError(
        'HASS_ERR_PICKLE_GLOBAL',
        `${this.options.name} names the global ${shown(name)}, which builds no tensors: nothing of it was run. Do not load this file with another program; ask its author for safetensors.`,
        { file: this.options.name, global: name },
      )
    }
    this.push(new PickleGlobal(name))
  }

  reduce(): void {
    const args = this.pop()
    const callee = this.pop()
    if (!(callee instanceof PickleGlobal) || !(args instanceof PickleTuple)) this.fail('calls what is no global')
    this.push(this.options.reduce(callee, args.items))
  }

  /** State of an OrderedDict (`_metadata` of a module): tensors are not in it. */
  build(): void {
    const state = this.pop()
    if (!(this.top() instanceof Map) || !(state instanceof Map)) this.fail('sets the state of what is no dictionary')
  }

  persistentLoad(): void {
    this.push(this.options.persistentLoad(this.pop()))
  }

  put(index: number): void {
    this.#memo.set(index, this.top())
  }

  get(index: number): void {
    const value = this.#memo.get(index)
    if (value === undefined) this.fail(`refers to memo ${index}, which is empty`)
    else this.push(value)
  }

  protocol(): void {
    const version = this.uint(1)
    if (version !== 2) this.fail(`is of protocol ${version}, expected 2, which torch.save writes`)
  }

  uint(size: 1 | 2 | 4): number {
    const at = this.#take(size)
    return size === 1 ? this.bytes[at]! : size === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true)
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true)
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), false)
  }

  /** A little-endian two's complement integer of up to 255 bytes. */
  long(length: number): number | bigint {
    const at = this.#take(length)
    let value = 0n
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[at + i]!)
    value = BigInt.asIntN(8 * length, value)
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  text(length: number): string {
    const at = this.#take(length)
    try {
      return this.#text.decode(this.bytes.subarray(at, at + length))
    } catch {
      this.fail('has a string that is not valid UTF-8')
    }
  }

  /** Text up to a line feed; module and attribute names are short. */
  #line(): string {
    const end = this.bytes.subarray(0, this.at + maxLineLength).indexOf(0x0a, this.at)
    if (end < 0) {
      // Complains that the pickle is cut, if it is.
      this.#take(maxLineLength)
      this.fail('has a global whose name does not end')
    }
    const text = this.text(end - this.at)
    this.at = end + 1
    return text
  }

  #uint8(): number {
    return this.bytes[this.#take(1)]!
  }

  #take(length: number): number {
    const at = this.at
    if (at + length > this.bytes.byteLength) {
      throw new WeightsError(
        'HASS_ERR_TRUNCATED',
        `${this.options.name} ends inside its pickle: ${length} bytes are wanted at ${at}, ${this.bytes.byteLength - at} are left.`,
        { file: this.options.name, at, length },
      )
    }
    this.at += length
    return at
  }

  fail(what: string): never {
    throw new WeightsError('HASS_ERR_PICKLE', `The pickle of ${this.options.name} ${what} (byte ${this.at}).`, {
      file: this.options.name,
      at: this.at,
    })
  }
}

/** Protocol 2, as `torch.save` uses it: all there is for tensors in dictionaries. */
const operations: ReadonlyMap<number, (machine: PickleMachine) => void> = new Map([
  [0x80, (machine: PickleMachine) => machine.protocol()],
  [0x28, (machine) => machine.pushMark()], // MARK
  [0x4e, (machine) => machine.push(null)], // NONE
  [0x88, (machine) => machine.push(true)], // NEWTRUE
  [0x89, (machine) => machine.push(false)], // NEWFALSE
  [0x4a, (machine) => machine.push(machine.int32())], // BININT
  [0x4b, (machine) => machine.push(machine.uint(1))], // BININT1
  [0x4d, (machine) => machine.push(machine.uint(2))], // BININT2
  [0x8a, (machine) => machine.push(machine.long(machine.uint(1)))], // LONG1
  [0x47, (machine) => machine.push(machine.float64())], // BINFLOAT
  [0x58, (machine) => machine.push(machine.text(machine.uint(4)))], // BINUNICODE
  [0x55, (machine) => machine.push(machine.text(machine.uint(1)))], // SHORT_BINSTRING
  [0x29, (machine) => machine.popTuple(0)], // EMPTY_TUPLE
  [0x85, (machine) => machine.popTuple(1)], // TUPLE1
  [0x86, (machine) => machine.popTuple(2)], // TUPLE2
  [0x87, (machine) => machine.popTuple(3)], // TUPLE3
  [0x74, (machine) => machine.push(new PickleTuple(machine.popToMark()))], // TUPLE
  [0x5d, (machine) => machine.push([])], // EMPTY_LIST
  [0x61, (machine) => machine.append([machine.pop()])], // APPEND
  [0x65, (machine) => machine.append(machine.popToMark())], // APPENDS
  [0x7d, (machine) => machine.push(new Map())], // EMPTY_DICT
  [0x73, (machine) => machine.setItems([machine.pop(), machine.pop()].reverse())], // SETITEM
  [0x75, (machine) => machine.setItems(machine.popToMark())], // SETITEMS
  [0x63, (machine) => machine.global()], // GLOBAL
  [0x52, (machine) => machine.reduce()], // REDUCE
  [0x62, (machine) => machine.build()], // BUILD
  [0x51, (machine) => machine.persistentLoad()], // BINPERSID
  [0x71, (machine) => machine.put(machine.uint(1))], // BINPUT
  [0x72, (machine) => machine.put(machine.uint(4))], // LONG_BINPUT
  [0x68, (machine) => machine.get(machine.uint(1))], // BINGET
  [0x6a, (machine) => machine.get(machine.uint(4))], // LONG_BINGET
])
