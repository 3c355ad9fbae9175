import { formatMeasured } from './measured.mjs'
import { assumed, assumedChances, expectedTokens, gpus } from './roofline.mjs'
import { formatKernels, Predictions } from './tables.mjs'

/** docs/results/cuda-static.md. */
export function formatDocument({ kernels, launches, architectures, compiler }) {
  const predictions = new Predictions(kernels, launches)
  const sheets = Object.entries(gpus).map(
    ([name, { gbs, multiprocessors, ghz, tensor }]) =>
      `${name} ${gbs} GB/s, ${multiprocessors} multiprocessors at ${ghz} GHz, ${tensor} · 10^12 multiply-accumulates a second`,
  )
  const measured = formatMeasured(predictions)
  const perKernel = [
    ['SmolLM2-135M', 'Q4', 8],
    ['LLaMA-3-8B', 'Q4', 8],
    ['LLaMA-3-8B', 'BF16', 16],
    ['R1-Distill-Qwen-32B', 'Q4', 8],
    ['R1-Distill-Qwen-32B', 'BF16', 16],
    ['LLaMA-3-70B', 'Q4', 8],
    ['LLaMA-3-70B', 'BF16', 16],
  ]
  return `# CUDA kernels: what the compiler says, and what follows

    node native/scripts/cuda-static.mjs --document docs/results/cuda-static.md

Written by that command, with ${compiler}. **${measured ? 'Measured is what its heading says, nothing else' : 'Nothing on this page was measured'}.** The machine that this was written on has
no GPU: registers, local memory and instructions are the compiler's, shared memory, threads and blocks are what the
launchers ask for (\`native/scripts/cuda-static/launches.cc\` runs them), the times are *predicted* from both. No kernel spills
or keeps anything in local memory; the command fails where one does.

## Measured

${measured ? 'Minimum / median / maximum of a pass in milliseconds; in brackets the median by what is predicted below.' : 'Nothing yet. On a machine with a GPU,'}

${measured ?? '    npm run bench:gpu -- --record docs/results/cuda-measured.json\n\nand then the command above put what it takes here, beside what is predicted.'}

## Registers, shared memory, occupancy

Shared memory of the largest launch among the models below; blocks and warps that a multiprocessor holds then.
\`<dtype, …>\`: 0 F32, 1 F16, 2 BF16, 16 Q4, 17 Q8, 18 Q4K, 19 F8; the last number of a linear is its tiles of 8 rows.

${formatKernels(kernels, launches, architectures)}

## Predicted: milliseconds of a forward pass of so many rows

Context of 1024 positions in a BF16 cache. A pass is the sum of its kernels; a kernel takes its hardest bound (next section)
and ${assumed.launchUs} µs from one launch of a graph to the next. *Best tree*: the nodes, root included, with the most expected tokens for the
time of a verification, drafting left out, if the k-th candidate is the target's choice with the chances
${assumedChances.join(', ')} (an assumption): a tree of 8, 16, 32, 64 nodes then emits ${[8, 16, 32, 64].map((nodes) => expectedTokens(nodes).toFixed(2)).join(', ')} tokens.
*Gain*: its tokens a millisecond against one row. Left out: what does not fit the GPU's memory.

${predictions.formatPasses()}

## Predicted: each kernel

Bounds: bytes over bandwidth; a warp's instructions over issue slots; products over tensor cores; additions that wait
for each other (row invariance fixes their order); accesses that wait for each other, ${assumed.memoryUs} µs to memory, ${assumed.cacheUs} µs to the
L2 cache, in as many waves of blocks as the occupancy gives. Of data sheets: ${sheets.join('; ')}.
The bound named is the hardest. Left out: how the bounds overlap, bank conflicts, clocks under load.

${perKernel.map(([model, dtype, rows]) => `### ${model}, ${dtype}, ${rows} rows\n\n${predictions.formatKernels(model, dtype, rows)}`).join('\n\n')}
`
}
