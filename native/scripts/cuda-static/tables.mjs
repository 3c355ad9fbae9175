import { launchesOf } from './launches.mjs'
import { occupancyOf } from './occupancy.mjs'
import { assumed, expectedTokens, gpus, models, passOf, secondsOf, weightGib, weights } from './roofline.mjs'

const context = 1024
const buckets = [1, 2, 4, 8, 16, 32, 64]
/** Stages that the models' passes lack. */
const otherStages = [
  ...[0, 1, 2, 16, 17, 18, 19].flatMap((dtype) => [
    `embedding ${dtype} 8 4096`,
    ...[8, 16, 32, 64].map((rows) => `linear ${dtype} 0 ${rows} 4096 4096`),
  ]),
  ...[16, 17, 18].flatMap((dtype) => [8, 16, 32, 64].map((rows) => `linear ${dtype} 16 ${rows} 4096 4096`)),
  ...[8, 16, 32, 64].map((rows) => `linear 18 32 ${rows} 4096 4096`),
  ...[0, 1].map((dtype) => `attention ${dtype} 8 64 8 128 ${context}`),
  'quantize 16 8 4096',
  ...['add', 'mul'].map((name) => `${name} 8 4096`),
  'rope 8 32 128',
  'cache-write 8 1024',
  ...['gather-rows', 'scatter-rows'].flatMap((name) => [1026, 1028, 1040].map((rowBytes) => `${name} 8 ${rowBytes}`)),
  ...['concat-columns', 'slice-columns'].map((name) => `${name} 8`),
  ...['arg-max', 'top-k', 'log-softmax'].map((name) => `${name} 8 128256`),
]

const bucketOf = (rows) => buckets.find((bucket) => bucket >= rows)

/** Every launch that the tables speak of, by the stage's line. */
export function collectLaunches() {
  const lines = new Set(otherStages)
  for (const model of Object.values(models)) {
    for (const dtype of Object.keys(weights)) {
      for (const rows of buckets) for (const { line } of passOf(model, dtype, rows, context)) lines.add(line)
    }
  }
  const all = [...lines]
  const launches = launchesOf(all)
  return new Map(all.map((line, i) => [line, launches[i]]))
}

/** The largest block of each kernel. */
export function largestLaunches(launches) {
  const largest = new Map()
  for (const launch of [...launches.values()].flat()) {
    if (!(largest.get(launch.kernel)?.sharedBytes >= launch.sharedBytes)) largest.set(launch.kernel, launch)
  }
  return largest
}

function table(head, rows) {
  const columns = head.map((_, i) => (i > 0 && rows.every((row) => /^[-\d.]/.test(row[i])) ? '---:' : '---'))
  return [head, columns, ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/** Registers, shared memory and occupancy of every kernel. */
export function formatKernels(kernels, launches, architectures) {
  const largest = largestLaunches(launches)
  const names = [...new Set(kernels.map(({ name }) => name))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  )
  const rows = names.map((name) => {
    const launch = largest.get(name)
    const registers = architectures.map(
      (each) => kernels.find((kernel) => kernel.name === name && kernel.architecture === each).registers,
    )
    const fitting = architectures.map((each, i) => occupancyOf(launch, registers[i], each))
    return [
      `\`${name}\``,
      launch.threads,
      launch.sharedBytes,
      ...registers,
      ...fitting.map(({ blocks, warps }) => `${blocks} (${warps})`),
    ]
  })
  const columns = architectures.map((each) => `sm_${each}`)
  return table(
    [
      'kernel',
      'threads',
      'shared memory, bytes',
      ...columns.map((each) => `registers, ${each}`),
      ...columns.map((each) => `blocks (warps), ${each}`),
    ],
    rows,
  )
}

/** Times of passes, from launches and what the compiler made of the kernels. */
export class Predictions {
  #launches
  #registers

  constructor(kernels, launches) {
    this.#launches = launches
    this.#registers = new Map(
      kernels.map(({ name, architecture, registers }) => [`${name} ${architecture}`, registers]),
    )
  }

  /** The bound that is hardest, and its microseconds with the launch's. */
  kernel(part, gpu) {
    const launch = this.#launches.get(part.line)[part.launch ?? 0]
    const { blocks: resident } = occupancyOf(launch, this.#registers.get(`${launch.kernel} ${gpu.code}`), gpu.limits)
    const bounds = Object.entries(secondsOf(part, gpu, { blocks: launch.blocks, resident }))
    const [bound, seconds] = bounds.reduce((worst, each) => (each[1] > worst[1] ? each : worst))
    return { kernel: launch.kernel, blocks: launch.blocks, bound, us: seconds * 1e6 + assumed.launchUs }
  }

  passMs(model, dtype, rows, gpu) {
    const parts = passOf(model, dtype, bucketOf(rows), context)
    return parts.reduce((sum, part) => sum + (part.count * this.kernel(part, gpu).us) / 1e3, 0)
  }

  /** A tree is worth its tokens by the time of its verification; what drafting costs is left out. */
  bestTree(model, dtype, gpu) {
    const alone = this.passMs(model, dtype, 1, gpu)
    let best = { nodes: 1, gain: 1 }
    for (const nodes of buckets) {
      const gain = (expectedTokens(nodes) * alone) / this.passMs(model, dtype, nodes, gpu)
      if (gain > best.gain) best = { nodes, gain }
    }
    return best
  }

  formatKernels(modelName, dtype, rows) {
    const parts = passOf(models[modelName], dtype, rows, context)
    const head = ['kernel', 'launches', 'blocks', 'bytes', ...Object.keys(gpus).map((name) => `${name}: µs, bound by`)]
    return table(
      head,
      parts.map((part) => {
        const found = Object.values(gpus).map((gpu) => this.kernel(part, gpu))
        return [
          `${part.name} (\`${found[0].kernel}\`)`,
          part.count,
          found[0].blocks,
          Math.round(part.bytes),
          ...found.map(({ us, bound }) => `${us.toFixed(1)}, ${bound}`),
        ]
      }),
    )
  }

  formatPasses() {
    const rows = []
    for (const [gpuName, gpu] of Object.entries(gpus)) {
      for (const [modelName, model] of Object.entries(models)) {
        for (const dtype of Object.keys(weights)) {
          if (weightGib(model, dtype) > 0.9 * gpu.gib) continue
          const times = buckets.map((each) => this.passMs(model, dtype, each, gpu))
          const { nodes, gain } = this.bestTree(model, dtype, gpu)
          rows.push([gpuName, modelName, dtype, ...times.map((ms) => ms.toFixed(2)), nodes, gain.toFixed(2)])
        }
      }
    }
    return table(['GPU', 'model', 'weights', ...buckets.map((each) => `T(${each})`), 'best tree', 'gain'], rows)
  }
}
