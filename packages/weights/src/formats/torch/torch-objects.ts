import { type DType, dtypeSize } from '@hass-engine/core'
import { shown, WeightsError } from '../../errors.js'
import { type PickleGlobal, type PickleObject, PickleTuple, type PickleValue, unpickle } from './unpickle.js'

/** A block of memory that tensors are views of, as the pickle refers to it. */
export interface TorchStorage extends PickleObject {
  readonly kind: 'storage'
  readonly key: string
  /** Absent if untyped: the tensors say it, and `elements` are bytes. */
  readonly dtype: DType | undefined
  readonly elements: number
}

/** Bytes that a storage of so many elements has; an untyped one counts in bytes. */
export function storageByteLength({ dtype = 'U8', elements }: TorchStorage): number {
  return elements * dtypeSize(dtype)
}

export interface TorchTensor extends PickleObject {
  readonly kind: 'tensor'
  readonly storage: TorchStorage
  readonly dtype: DType
  /** Elements from the start of the storage. */
  readonly offset: number
  readonly shape: readonly number[]
  /** Elements from one index of each dimension to the next. */
  readonly strides: readonly number[]
}

const storageDTypes: ReadonlyMap<string, DType | undefined> = new Map<string, DType | undefined>([
  ['torch.DoubleStorage', 'F64'],
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
  ['torch.storage.UntypedStorage', undefined],
])

/** Dtypes without a storage class of their own name themselves. */
const namedDTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['torch.float8_e4m3fn', 'F8_E4M3'],
  ['torch.uint16', 'U16'],
  ['torch.uint32', 'U32'],
  ['torch.uint64', 'U64'],
])

const rebuildTensor = 'torch._utils._rebuild_tensor_v2'
const rebuildTensorOfNamedDType = 'torch._utils._rebuild_tensor_v3'
const rebuildParameter = 'torch._utils._rebuild_parameter'
const orderedDict = 'collections.OrderedDict'

const globals: ReadonlySet<string> = new Set([
  rebuildTensor,
  rebuildTensorOfNamedDType,
  rebuildParameter,
  orderedDict,
  ...storageDTypes.keys(),
  ...namedDTypes.keys(),
])

/**
 * Unpickles what `torch.save` wrote: tensors, parameters and numbers in dictionaries and lists.
 *
 * @returns the value and where its pickle ends
 */
export function unpickleTorch(bytes: Uint8Array, start: number, name: string) {
  const storages = new Map<string, TorchStorage>()
  const fail = (what: string): never => {
    throw new WeightsError('HASS_ERR_PICKLE', `The pickle of ${name} ${what}.`, { file: name })
  }

  function reduce(global: PickleGlobal, args: readonly PickleValue[]): PickleValue {
    switch (global.name) {
      case rebuildTensor:
        return createTensor(args, undefined)
      case rebuildTensorOfNamedDType:
        return createTensor(args, namedDTypes.get(globalName(args[6])))
      case rebuildParameter:
        return isTensor(args[0]) ? args[0] : fail('makes a parameter of what is no tensor')
      case orderedDict:
        return args.length === 0 ? new Map() : fail('builds an OrderedDict from arguments')
      default:
        return fail(`calls ${global.name}, which is no function`)
    }
  }

  function createTensor(args: readonly PickleValue[], namedDType: DType | undefined): TorchTensor {
    const [storage, offset, size, stride] = args
    if (!isStorage(storage)) return fail('makes a tensor of what is no storage')
    const dtype = storage.dtype ?? namedDType
    if (dtype === undefined) return fail('makes a tensor of an untyped storage without a known dtype')
    const shape = counts(size)
    const strides = counts(stride)
    if (!isCount(offset) || !shape || shape.length !== strides?.length) {
      throw new WeightsError(
        'HASS_ERR_TORCH_STORAGE',
        `A tensor over storage ${shown(storage.key)} of ${name} has an offset, size or stride that is negative, no safe integer, or of another length than the others.`,
        { file: name, key: storage.key },
      )
    }
    return { kind: 'tensor', storage, dtype, offset, shape, strides }
  }

  /** `('storage', class, key, device, elements)`, in old files followed by a view, which was always None. */
  function persistentLoad(id: PickleValue): TorchStorage {
    const [tag, storageClass, key, , elements, view = null] = id instanceof PickleTuple ? id.items : []
    const className = globalName(storageClass)
    if (tag !== 'storage' || typeof key !== 'string' || !isCount(elements) || !storageDTypes.has(className)) {
      return fail('refers to something else than a storage')
    }
    if (view !== null) return fail('refers to a view of a storage, which only versions before 0.4 wrote')
    const known = storages.get(key)
    const storage = known ?? { kind: 'storage', key, dtype: storageDTypes.get(className), elements }
    if (storage.dtype !== storageDTypes.get(className) || storage.elements !== elements) {
      return fail(`describes storage ${shown(key)} in two ways`)
    }
    storages.set(key, storage)
    return storage
  }

  return { ...unpickle(bytes, start, { name, globals, reduce, persistentLoad }), storages }
}

function globalName(value: PickleValue | undefined): string {
  return typeof value === 'object' && value !== null && 'name' in value ? value.name : ''
}

function isStorage(value: PickleValue | undefined): value is TorchStorage {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'storage'
}

export function isTensor(value: PickleValue | undefined): value is TorchTensor {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'tensor'
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function counts(value: PickleValue | undefined): number[] | undefined {
  const items = value instanceof PickleTuple ? value.items : undefined
  return items?.every(isCount) ? (items as number[]) : undefined
}
