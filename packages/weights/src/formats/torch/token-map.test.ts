import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildTorch, PickleWriter } from '../../testing/build-torch.js'
import { expectRefusal } from '../../testing/expect-refusal.js'
import { readTokenMap, writeTokenMap } from './token-map.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-map-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** `HASS_PYTHON`, or the system's, if it has torch. */
function pythonWithTorch(): string | undefined {
  const python = process.env.HASS_PYTHON ?? 'python3'
  const found = spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore', timeout: 60_000 }).status === 0
  if (!found) console.log(`token maps are not checked with torch: ${python} cannot import it (set HASS_PYTHON)`)
  return found ? python : undefined
}
const python = pythonWithTorch()

describe('token maps', () => {
  it('are read as they were written', async () => {
    const path = join(folder, 'map.pt')
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(2 ** 31 - 1), { minLength: 1, maxLength: 3000 }), async (tokens) => {
        await writeTokenMap(path, tokens)
        expect([...(await readTokenMap(path))]).toEqual(tokens)
      }),
      { numRuns: 20 },
    )
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('of the same tokens have the same bytes', async () => {
    const paths = [join(folder, 'a.pt'), join(folder, 'b.pt')]
    for (const path of paths) await writeTokenMap(path, [5, 3, 8])
    const [a, b] = await Promise.all(paths.map((path) => readFile(path)))
    expect(a!.equals(b!)).toBe(true)
  })

  it.skipIf(!python)(
    'are lists to torch.load with weights_only',
    async () => {
      const path = join(folder, 'torch.pt')
      const tokens = Array.from({ length: 32_768 }, (_, i) => (i * 48_271) % 128_256)
      await writeTokenMap(path, tokens)
      const program = `import torch, json; print(json.dumps(torch.load(${JSON.stringify(path)}, weights_only=True)))`
      const { stdout, stderr } = spawnSync(python!, ['-c', program], { encoding: 'utf8', maxBuffer: 2 ** 24 })
      expect(stdout, stderr).not.toBe('')
      expect(JSON.parse(stdout)).toEqual(tokens)
    },
    300_000,
  )

  it.skipIf(!python)(
    'of torch.save are read',
    async () => {
      const path = join(folder, 'saved.pt')
      const program = `import torch; torch.save([int(i) for i in range(70000, 0, -7)], ${JSON.stringify(path)})`
      expect(spawnSync(python!, ['-c', program]).status).toBe(0)
      expect([...(await readTokenMap(path))]).toEqual(Array.from({ length: 10_000 }, (_, i) => 70_000 - 7 * i))
    },
    300_000,
  )

  it.each([[[]], [[-1]], [[1.5]], [[2 ** 31]], [[3, 3]]])('of %j are refused', async (tokens) => {
    await expectRefusal(writeTokenMap(join(folder, 'bad.pt'), tokens), 'HASS_ERR_INVALID_ARGUMENT')
  })

  it('are nothing else', async () => {
    const path = join(folder, 'other.pt')
    const list = (fill: (writer: PickleWriter) => PickleWriter) =>
      buildTorch(fill(new PickleWriter().proto().op('EMPTY_LIST').op('MARK')).op('APPENDS').op('STOP').toBytes())
    const others = [
      list((writer) => writer.string('x')),
      list((writer) => writer.int(-1)),
      list((writer) => writer),
      buildTorch(new PickleWriter().proto().op('NONE').op('STOP').toBytes()),
    ]
    for (const bytes of others) {
      await writeFile(path, bytes)
      await expectRefusal(readTokenMap(path), 'HASS_ERR_PICKLE')
    }
  })
})
