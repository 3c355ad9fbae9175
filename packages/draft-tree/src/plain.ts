import { createDraftTree, type TreePolicy } from '@hass-engine/core'
import { levelsOf } from './limits.js'

/** No draft at all: plain decoding, by the same path as everything else. */
export function plain(): TreePolicy {
  return {
    name: 'plain',
    width: 0,
    maxNodes: 0,
    start(cycle) {
      levelsOf(cycle, 0)
      return {
        expand: () => ({ tokens: new Uint32Array(0), parents: new Uint32Array(0) }),
        finish: () => createDraftTree([cycle.root], [-1]),
      }
    },
  }
}
