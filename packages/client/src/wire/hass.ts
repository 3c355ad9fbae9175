import type { GenerationTimings, SpeculationStatistics } from '@hass-engine/core'
import type { Chunk } from './chunk.js'
import { isObject, type JsonObject, numberField, objectField, refuse, textField } from './json.js'

const speculationCounts = ['drafted', 'accepted', 'emitted', 'targetCalls', 'acceptanceLength'] as const
const timingNames = ['prefillMs', 'firstTokenMs', 'decodeMs', 'totalMs'] as const

/**
 * What a HASS server says beyond OpenAI's interface: an object `hass` in the last event, with `speculation`, `timings`
 * and `seed` (decimal text) as in a `GenerationResult`.
 */
export function readHassFields(event: JsonObject): Chunk {
  const hass = objectField(event, 'hass')
  if (!hass) return {}
  const seed = textField(hass, 'seed')
  if (seed !== undefined && !/^\d{1,20}$/.test(seed)) refuse('hass.seed', 'decimal text', seed)
  const speculation = objectField(hass, 'speculation')
  const timings = objectField(hass, 'timings')
  return {
    ...(seed !== undefined && { seed: BigInt(seed) }),
    ...(speculation && { speculation: readSpeculation(speculation) }),
    ...(timings && { timings: readTimings(timings) }),
  }
}

function readSpeculation(fields: JsonObject): SpeculationStatistics {
  for (const name of speculationCounts) {
    if (numberField(fields, name) === undefined) refuse(`hass.speculation.${name}`, 'a number', fields[name])
  }
  const { depths } = fields
  if (depths !== undefined && !(Array.isArray(depths) && depths.every(isDepth))) {
    refuse('hass.speculation.depths', 'drafted and accepted by depth', depths)
  }
  return fields as unknown as SpeculationStatistics
}

function isDepth(depth: unknown): boolean {
  return isObject(depth) && typeof depth.drafted === 'number' && typeof depth.accepted === 'number'
}

function readTimings(fields: JsonObject): GenerationTimings {
  for (const name of timingNames) numberField(fields, name)
  return fields.totalMs === undefined
    ? refuse('hass.timings.totalMs', 'a number', undefined)
    : (fields as unknown as GenerationTimings)
}
