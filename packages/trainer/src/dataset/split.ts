import { createHash } from 'node:crypto'

/** Which sequences are learnt from, and which are kept to measure with. */
export type Split = 'train' | 'held-out'

/**
 * The split of a prompt, a function of its id alone: a corpus may grow, be reordered or filtered, and no prompt ever
 * changes sides.
 *
 * @param share of the prompts that are held out, 0 to 1
 */
export function splitOf(id: string, share: number): Split {
  const digest = createHash('sha256').update(`split ${id}`).digest()
  return digest.readUInt32LE(0) / 2 ** 32 < share ? 'held-out' : 'train'
}
