import { shown, WeightsError } from '../../errors.js'
import { isTensor, type TorchTensor } from './torch-objects.js'
import { PickleTuple, type PickleValue } from './unpickle.js'

/** Published files nest two or three deep. */
const maxDepth = 64
/** A dictionary that a pickle refers to many times over is visited each time: without a limit 2^64 times. */
const maxVisits = 2 ** 20

/**
 * The tensors of a value that `torch.save` wrote, named by their path through dictionaries and lists, joined by dots.
 *
 * @throws WeightsError `HASS_ERR_PICKLE`, `HASS_ERR_DUPLICATE_NAME`
 */
export function collectTensors(root: PickleValue, file: string): ReadonlyMap<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>()
  let visits = 0

  function visit(value: PickleValue, path: string, depth: number): void {
    visits++
    if (depth > maxDepth || visits > maxVisits) {
      throw new WeightsError(
        'HASS_ERR_PICKLE',
        `${file} nests values more than ${maxDepth} deep or holds more than ${maxVisits}: no model does.`,
        { file, maxDepth, maxVisits },
      )
    }
    if (isTensor(value)) add(path, value)
    for (const [key, item] of members(value)) visit(item, path === '' ? key : `${path}.${key}`, depth + 1)
  }

  function add(path: string, tensor: TorchTensor): void {
    if (tensors.has(path)) {
      throw new WeightsError('HASS_ERR_DUPLICATE_NAME', `${file} has the tensor ${shown(path)} twice.`, {
        file,
        name: path,
      })
    }
    tensors.set(path, tensor)
  }

  visit(root, '', 0)
  if (tensors.size === 0) {
    throw new WeightsError('HASS_ERR_PICKLE', `${file} holds no tensors.`, { file })
  }
  return tensors
}

function* members(value: PickleValue): Generator<[string, PickleValue]> {
  if (value instanceof Map) {
    for (const [key, item] of value) {
      if (typeof key === 'string' || typeof key === 'number') yield [String(key), item]
    }
    return
  }
  const items = value instanceof PickleTuple ? value.items : Array.isArray(value) ? value : []
  for (const [index, item] of items.entries()) yield [String(index), item]
}
