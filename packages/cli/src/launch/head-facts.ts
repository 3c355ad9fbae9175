import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** What a folder that `hass convert` wrote tells; nothing of a name on the hub. */
export interface HeadFacts {
  readonly isNextN: boolean
  /** Path of its token map. */
  readonly tokenMap?: string
}

export async function readHeadFacts(draft: string | undefined): Promise<HeadFacts> {
  if (draft === undefined) return { isNextN: false }
  const config = await readFile(join(draft, 'config.json'), 'utf8').catch(() => '')
  const map = join(draft, 'token_map.pt')
  const hasMap = await stat(map).then(
    (stats) => stats.isFile(),
    () => false,
  )
  // A hub's name says it as well: lmsys/DeepSeek-R1-NextN.
  return { isNextN: /NextN"/.test(config) || /nextn/i.test(draft), ...(hasMap && { tokenMap: map }) }
}
