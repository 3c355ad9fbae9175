/** Of a multiprocessor: KiB of shared memory, warps, blocks (CUDA C++ programming guide, technical specifications). */
const limits = {
  80: { shared: 164, warps: 64, blocks: 32 },
  86: { shared: 100, warps: 48, blocks: 16 },
  89: { shared: 100, warps: 48, blocks: 24 },
  90: { shared: 228, warps: 64, blocks: 32 },
  100: { shared: 228, warps: 64, blocks: 32 },
  120: { shared: 100, warps: 48, blocks: 24 },
}

/** Bytes of shared memory that a block may have on every one of them. */
export const largestSharedBytes = 99 * 1024

/** Blocks and warps of a launch that a multiprocessor holds at once. */
export function occupancyOf({ threads, sharedBytes }, registers, architecture) {
  const { shared, warps, blocks } = limits[architecture]
  const warpsOfBlock = threads / 32
  // Registers are given out in units of 256 a warp; a block takes 1 KiB of shared memory for itself.
  const byRegisters = Math.floor(65536 / (Math.ceil((registers * 32) / 256) * 256) / warpsOfBlock)
  const byShared = Math.floor((shared * 1024) / (sharedBytes + 1024))
  const fitting = Math.min(blocks, Math.floor(warps / warpsOfBlock), byRegisters, byShared)
  return { blocks: fitting, warps: fitting * warpsOfBlock }
}
