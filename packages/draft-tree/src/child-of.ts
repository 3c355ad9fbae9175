import type { Token } from '@hass-engine/core'

/** The child of a node that holds a token, -1 if there is none. */
export function childOf(
  { tokens, parents }: { readonly tokens: ArrayLike<Token>; readonly parents: ArrayLike<number> },
  parent: number,
  token: Token,
): number {
  for (let node = 1; node < tokens.length; node++) if (parents[node] === parent && tokens[node] === token) return node
  return -1
}
