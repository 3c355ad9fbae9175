import type { FileHandle } from 'node:fs/promises'
import { type CheckpointFileSystem, defaultFileSystem } from '../checkpoint/file-system.js'

/** One call of the file system: `open`, `write`, `sync`, `close`, `rename` … */
export type FileSystemCall = (typeof calls)[number]

const calls = ['open', 'write', 'sync', 'close', 'rename', 'rm', 'mkdir', 'readdir'] as const

/**
 * The real file system, which tells of every call before it is made; what `before` throws is what the call fails with.
 *
 * @param before gets the name of the call and its number, from 1
 */
export function observeFileSystem(
  before: (call: FileSystemCall, number: number) => void,
  { isShortOfWriting = false }: { readonly isShortOfWriting?: boolean } = {},
): CheckpointFileSystem {
  let number = 0
  const tell = (call: FileSystemCall) => before(call, ++number)
  const wrap =
    <Arguments extends unknown[], Result>(call: FileSystemCall, perform: (...args: Arguments) => Promise<Result>) =>
    async (...args: Arguments): Promise<Result> => {
      tell(call)
      return perform(...args)
    }
  const observeHandle = (handle: FileHandle) =>
    new Proxy(handle, {
      get(target, key) {
        const value = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        const method = value.bind(target) as (...args: unknown[]) => Promise<unknown>
        // Closed all the same: a refused close must not leave descriptors behind.
        if (key === 'close') return () => method().finally(() => tell('close'))
        if (key === 'write' && isShortOfWriting) {
          return wrap('write', (bytes, from, length) => method(bytes, from, Math.ceil((length as number) / 2)))
        }
        return (calls as readonly unknown[]).includes(key) ? wrap(key as FileSystemCall, method) : method
      },
    })
  const { open, rename, rm, mkdir, readdir } = defaultFileSystem
  const openObserved = async (...args: Parameters<typeof open>) => observeHandle(await wrap('open', open)(...args))
  return {
    open: openObserved,
    rename: wrap('rename', rename),
    rm: wrap('rm', rm),
    mkdir: wrap('mkdir', mkdir as never),
    readdir: wrap('readdir', readdir as never),
  } as CheckpointFileSystem
}
