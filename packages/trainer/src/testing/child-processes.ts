import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createNoiseField } from '@hass-engine/core'
import { build } from 'esbuild'
import { findCheckpoint } from '../checkpoint/load-checkpoint.js'
import { runPlaces } from '../run/run-places.js'
import { trainHead } from '../run/train-head.js'
import { hashState, tinyRun } from './tiny-run.js'

/** A program of this folder as one file, so that it starts in no time. */
export interface ChildProgram extends AsyncDisposable {
  start(...args: (string | number)[]): ChildProcessByStdio<null, Readable, Readable>
}

export async function bundleChild(name: 'training-child' | 'saving-child'): Promise<ChildProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'hass-child-'))
  const outfile = join(folder, `${name}.mjs`)
  await build({
    entryPoints: [fileURLToPath(new URL(`${name}.ts`, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    tsconfig: fileURLToPath(new URL('../../../../tsconfig.json', import.meta.url)),
  })
  return {
    start: (...args) => spawn(process.execPath, [outfile, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

/** Of a process: its exit code, or the signal that ended it, and what it said of why. */
export async function endOf(child: ChildProcessByStdio<null, Readable, Readable>) {
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  const [code, signal] = await once(child, 'close')
  return { code: code as number | null, signal: signal as string | null, errors }
}

export interface KilledRuns {
  readonly kills: number
  /** Runs that were killed and resumed until they ended, and with how many kills each. */
  readonly runs: readonly { readonly kills: number; readonly hash: string }[]
  /** Of a run that nobody killed. */
  readonly expected: string
}

/**
 * Trains tiny runs in child processes that are killed at random instants and resumed, until so many kills have
 * happened and the last run has ended.
 */
export async function killRuns(kills: number, seed: number): Promise<KilledRuns> {
  const noise = createNoiseField(seed)
  await using program = await bundleChild('training-child')
  const root = await mkdtemp(join(tmpdir(), 'hass-kills-'))
  const finalHash = async (folder: string) => hashState((await findCheckpoint(runPlaces(folder).checkpoints)).state)
  try {
    const whole = join(root, 'whole')
    const startedAt = performance.now()
    for await (const _ of trainHead(tinyRun(whole)));
    // Of one attempt: shorter than a run, so that most are hit before they end.
    const longest = (performance.now() - startedAt) / 2
    const runs: { kills: number; hash: string }[] = []
    let done = 0
    for (let attempt = 0, ofRun = 0; done < kills || ofRun > 0; attempt++) {
      const folder = join(root, `run-${runs.length}`)
      const child = program.start(folder)
      const end = endOf(child)
      if (done < kills) {
        await Promise.race([once(child.stdout, 'data'), end])
        await Promise.race([wait(longest * noise.uniform(attempt, 0)), end])
        child.kill('SIGKILL')
      } else child.stdout.resume()
      const { code, errors } = await end
      if (code === null) {
        done += 1
        ofRun += 1
      } else if (code === 0) {
        runs.push({ kills: ofRun, hash: await finalHash(folder) })
        await rm(folder, { recursive: true })
        ofRun = 0
      } else throw new Error(`A resumed run failed after ${ofRun} kills: ${errors}`)
    }
    return { kills: done, runs, expected: await finalHash(whole) }
  } finally {
    await rm(root, { recursive: true })
  }
}
