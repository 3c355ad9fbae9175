import { randomBytes } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/** Who holds a folder. */
export interface LockHolder {
  readonly pid: number
  readonly host: string
}

/** A folder that one process alone may write into. */
export interface FolderLock extends AsyncDisposable {
  release(): Promise<void>
}

/**
 * Locks a folder by a file in it. What a process that is gone has left is taken over, if it ran on this machine: a
 * process of another machine cannot be asked.
 *
 * @param refuse makes the error for a folder that is held
 */
export async function lockFolder(folder: string, refuse: (holder: LockHolder) => Error): Promise<FolderLock> {
  const path = join(folder, 'lock')
  const own = { pid: process.pid, host: hostname(), nonce: randomBytes(8).toString('hex') }
  const temporary = join(folder, `lock-${own.nonce}.tmp`)
  // A link appears with its contents: nobody reads half a lock.
  await writeFile(temporary, JSON.stringify(own), { flag: 'wx' })
  try {
    while (!(await tryLink(temporary, path))) {
      const holder = await readHolder(path)
      if (holder && !isGone(holder)) throw refuse(holder)
      await rm(path, { force: true })
    }
  } finally {
    await rm(temporary, { force: true })
  }
  const release = async () => {
    const holder = await readHolder(path)
    if (holder?.nonce === own.nonce) await rm(path, { force: true })
  }
  return { release, [Symbol.asyncDispose]: release }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Undefined if the lock was released meanwhile, or is no lock. */
async function readHolder(path: string): Promise<(LockHolder & { readonly nonce: string }) | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return undefined
  }
}

function isGone({ pid, host }: LockHolder): boolean {
  if (host !== hostname()) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
