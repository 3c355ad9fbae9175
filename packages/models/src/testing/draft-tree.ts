import type { DraftContext, DraftModel, DraftTree, Token, TreePolicy } from '@hass-engine/core'

/** One cycle's drafting for one sequence. */
export async function draftTree(
  head: DraftModel,
  policy: TreePolicy,
  context: DraftContext,
  root: Token,
): Promise<DraftTree> {
  const builder = policy.start({ root })
  let [candidates] = await head.begin([context])
  for (;;) {
    const frontier = builder.expand(candidates!)
    if (frontier.tokens.length === 0) return builder.finish()
    ;[candidates] = await head.extend([{ sequence: context.sequence, frontier }])
  }
}
