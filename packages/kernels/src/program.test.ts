import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { InvalidProgramError } from './errors.js'
import { operations } from './operations/index.js'
import {
  DTypeCode,
  decodeProgram,
  encodeProgram,
  none,
  Opcode,
  type ProgramDescription,
  programMagic,
  programVersion,
  TensorKind,
} from './program.js'

const header = readFileSync(new URL('../../../native/include/hass_program.h', import.meta.url), 'utf8')

/** Names and numbers of one enum of the header, without its prefix. */
function readEnum(name: string, prefix: string): Record<string, number> {
  const body = new RegExp(`enum ${name} \\{([\\s\\S]*?)\\n\\};`).exec(header)![1]!
  const code = body.replace(/\/\*[\s\S]*?\*\//g, '')
  return Object.fromEntries(
    [...code.matchAll(/(\w+) = (\d+)/g)].map(([, key, value]) => [key!.replace(prefix, ''), Number(value)]),
  )
}

function readDefine(name: string): number {
  return Number(new RegExp(`#define ${name} \\(?(-?\\w+)`).exec(header)![1])
}

describe('the program format', () => {
  it('has the numbers of native/include/hass_program.h', () => {
    expect(Opcode).toEqual(readEnum('hass_opcode', 'HASS_OP_'))
    expect(DTypeCode).toEqual(readEnum('hass_dtype', 'HASS_'))
    expect(TensorKind).toEqual(readEnum('hass_tensor_kind', 'HASS_'))
    expect([programMagic, programVersion, none]).toEqual(
      ['HASS_PROGRAM_MAGIC', 'HASS_PROGRAM_VERSION', 'HASS_NONE'].map(readDefine),
    )
  })

  it('has one operation for every opcode', () => {
    expect(operations.map(({ opcode }) => opcode).sort((a, b) => a - b)).toEqual(
      Object.values(Opcode).sort((a, b) => a - b),
    )
  })

  const program: ProgramDescription = {
    dims: [8, 3],
    tensors: [
      { kind: TensorKind.OUTPUT, dtype: 'F32', shape: [-1, 4] },
      { kind: TensorKind.INPUT, dtype: 'F32', shape: [-1, 4] },
      { kind: TensorKind.WEIGHT, dtype: 'Q4', shape: [4, 32] },
    ],
    operations: [
      { opcode: Opcode.ADD, operands: [0, 1, 1], attributes: [] },
      { opcode: Opcode.LINEAR, operands: [0, 1, 2, none, none], attributes: [32] },
    ],
  }

  it('reads back what it writes', () => {
    expect(decodeProgram(encodeProgram(program))).toEqual(program)
  })

  it('refuses every prefix and every word that is out of its range', () => {
    const words = encodeProgram(program)
    for (let length = 0; length < words.length; length++) {
      expect(() => decodeProgram(words.subarray(0, length)), `length ${length}`).toThrow(InvalidProgramError)
    }
    for (let at = 0; at < words.length; at++) {
      for (const value of [-(2 ** 31), 2 ** 31 - 1, -7]) {
        const damaged = words.slice()
        damaged[at] = value
        try {
          decodeProgram(damaged)
        } catch (error) {
          expect(error, `word ${at}`).toBeInstanceOf(InvalidProgramError)
        }
      }
    }
    expect(() => decodeProgram(Int32Array.of(...words, 0))).toThrow(/behind its last operation/)
  })
})
