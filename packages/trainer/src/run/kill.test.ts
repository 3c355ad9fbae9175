import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findCheckpoint } from '../checkpoint/load-checkpoint.js'
import { removeTemporaries, saveCheckpoint } from '../checkpoint/save-checkpoint.js'
import { contentOf } from '../testing/checkpoint-content.js'
import { bundleChild, endOf, killRuns } from '../testing/child-processes.js'
import { hashState } from '../testing/tiny-run.js'

it('ends with the same bits after fifty kills at random instants', async () => {
  const { kills, runs, expected } = await killRuns(50, 1)
  expect(kills).toBe(50)
  for (const { hash } of runs) expect(hash).toBe(expected)
  expect(runs.reduce((sum, run) => sum + run.kills, 0)).toBe(50)
}, 300_000)

it('leaves the old checkpoint or the new one, whole, when killed before any call of a save', async () => {
  await using program = await bundleChild('saving-child')
  const folder = await mkdtemp(join(tmpdir(), 'hass-kill-'))
  try {
    const found = new Set<number>()
    let call = 1
    for (let isKilled = true; isKilled; call++) {
      await rm(folder, { recursive: true, force: true })
      for (const step of [1, 2]) await saveCheckpoint(folder, contentOf(step))
      const { code, signal, errors } = await endOf(program.start(folder, 3, call))
      isKilled = signal === 'SIGKILL'
      if (!isKilled) expect(code, errors).toBe(0)
      const { state, manifest, skipped } = await findCheckpoint(folder)
      const { step } = manifest.position
      expect(skipped).toEqual([])
      expect(hashState(state)).toBe(hashState(contentOf(step).state))
      expect([2, 3]).toContain(step)
      found.add(step)
      await removeTemporaries(folder)
      await saveCheckpoint(folder, contentOf(4), { keep: 1 })
      expect((await readdir(folder)).sort()).toEqual(['latest', 'step-000000004'])
    }
    // It died at least once on each side of the rename, and got through in the end.
    expect([...found].sort()).toEqual([2, 3])
    expect(call).toBeGreaterThan(40)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 300_000)
