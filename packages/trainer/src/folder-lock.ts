import { randomBytes } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

/** Who holds a folder. */
export interface LockHolder {
  readonly pid: number
  readonly host: string
  /** When the process began, where the system tells it: a number of a process is given out again. */
  readonly startedAt?: string
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
  const startedAt = await startOf(process.pid)
  const nonce = randomBytes(8).toString('hex')
  const own = { pid: process.pid, host: hostname(), nonce, ...(startedAt !== undefined && { startedAt }) }
  const path = join(folder, 'lock')
  const temporary = `${path}-${nonce}.tmp`
  // A link appears with its contents: nobody reads half a lock.
  await writeFile(temporary, JSON.stringify(own), { flag: 'wx' })
  try {
    for (;;) {
      const holder = await tryLock(path, temporary)
      if (holder === undefined) break
      if (!(await isGone(holder))) throw refuse(holder)
    }
  } finally {
    await rm(temporary, { force: true })
  }
  const release = () => unlock(path, nonce)
  return { release, [Symbol.asyncDispose]: release }
}

/**
 * Locks a path, or says who holds it: somebody gone at most if another process is just taking over from them.
 *
 * Who takes over locks, in the same way, a path named after the lock that was left. A lock of somebody gone can so be
 * removed by one process only, which makes sure first that it is still there.
 */
async function tryLock(path: string, own: string): Promise<Lock | undefined> {
  for (;;) {
    if (await tryLink(own, path)) return undefined
    const holder = await readHolder(path)
    if (holder === undefined) continue
    if (!(await isGone(holder))) return holder
    const takeover = `${path}-${holder.nonce}`
    if (await tryLock(takeover, own)) return holder
    await unlock(path, holder.nonce)
    await rm(takeover, { force: true })
  }
}

/** Removes the lock of a nonce, unless it was removed before and another one's is there by now. */
async function unlock(path: string, nonce: string): Promise<void> {
  if ((await readHolder(path))?.nonce === nonce) await rm(path, { force: true })
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

interface Lock extends LockHolder {
  /** Tells locks of one process apart. */
  readonly nonce: string
}

/** Undefined if the lock was released meanwhile. */
async function readHolder(path: string): Promise<Lock | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // A machine that lost its power leaves an empty lock: whoever held it is gone.
    return { pid: Number.NaN, host: hostname(), nonce: '' }
  }
}

async function isGone({ pid, host, startedAt }: LockHolder): Promise<boolean> {
  if (host !== hostname()) return false
  if (!Number.isInteger(pid)) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it is there, and another user's.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  const found = await startOf(pid)
  return startedAt !== undefined && found !== undefined && found !== startedAt
}

/** Which start of the system, and when after it; undefined where there is no /proc. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1')
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may hold spaces; the start is the twentieth field behind it.
    return `${boot.trim()} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return undefined
  }
}
