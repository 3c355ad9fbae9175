// Where the tests of the kernels can run: on this processor, or on one that is emulated.
import { spawnSync } from 'node:child_process'
import { arch } from 'node:process'
import { flagsOf } from '../gyp/instruction-sets.mjs'

const runs = (command, ...args) => spawnSync(command, args, { stdio: 'ignore', input: '' }).status === 0
const cxx = process.env.CXX ?? 'g++'

/**
 * By name: the compiler and its flags, a file of cpu/ that another stands in for, the processors that the programs run
 * on (a command before the program's, and the instruction sets that must be found there, if they are known), rounds of
 * the exactness test, and what is missing to do all this.
 */
export const platforms = {
  native: {
    compiler: cxx,
    linkFlags: [],
    flagsOf: (file) => flagsOf(file, { compiler: cxx }),
    replaced: {},
    processors: [{ name: arch, command: [] }],
    rounds: 90,
    missing: () => undefined,
  },
  simde: {
    compiler: cxx,
    linkFlags: [],
    flagsOf: (file) =>
      file.endsWith('kernels_avx512.cc')
        ? [...flagsOf('kernels_avx2.cc', { compiler: cxx }), '-Itests/simde', '-DHASS_CPU_EMULATE_AVX512']
        : flagsOf(file, { compiler: cxx }),
    replaced: { 'cpu/processor.cc': 'tests/simde/processor.cc' },
    processors: [{ name: 'AVX-512 by SIMDe', command: [], expects: ['portable', 'avx2', 'avx512'] }],
    rounds: 60,
    missing: () => {
      if (arch !== 'x64') return 'an x86-64 processor'
      const hasHeaders = runs(cxx, '-x', 'c++', '-fsyntax-only', '-include', 'simde/x86/avx512.h', '/dev/null')
      return hasHeaders ? undefined : 'SIMDe (Debian: libsimde-dev)'
    },
  },
  aarch64: {
    compiler: 'aarch64-linux-gnu-g++',
    linkFlags: ['-static'],
    // GCC 12 breaks down (in vect_transform_reduction) on tests/accuracy.cc.
    flagsOf: (file) =>
      file.startsWith('tests/')
        ? ['-fno-tree-vectorize']
        : flagsOf(file, { arch: 'arm64', compiler: 'aarch64-linux-gnu-g++' }),
    replaced: {},
    processors: [
      {
        name: 'AArch64 with dot products by QEMU',
        command: ['qemu-aarch64', '-cpu', 'max'],
        expects: ['portable', 'neon', 'neon-dotprod'],
      },
      {
        name: 'AArch64 of ARMv8.0 by QEMU',
        command: ['qemu-aarch64', '-cpu', 'cortex-a53'],
        expects: ['portable', 'neon'],
      },
    ],
    rounds: 12,
    missing: () => {
      if (!runs('aarch64-linux-gnu-g++', '--version')) return 'a cross compiler (Debian: g++-aarch64-linux-gnu)'
      return runs('qemu-aarch64', '--version') ? undefined : 'an emulator (Debian: qemu-user)'
    },
  },
}
