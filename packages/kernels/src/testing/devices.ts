import { findCudaLibrary } from '../addon/cuda-library.js'
import type { DeviceKind, DeviceOptions } from '../device.js'
import { doctor } from '../doctor.js'

const { isas } = await doctor({ measure: false })

/** Instruction sets of `cpu` devices on this machine. */
export const cpuIsas = isas

function hasEmulation(): boolean {
  try {
    return isas.length > 0 && findCudaLibrary('cuda-emulated') !== ''
  } catch {
    return false
  }
}

/** Kinds that `HASS_TEST_DEVICES` asks for, separated by commas: `npm run test:gpu` wants `cuda` alone. */
export const wantedKinds = process.env.HASS_TEST_DEVICES?.split(',') as DeviceKind[] | undefined

const presentKinds: readonly DeviceKind[] = [
  ...(isas.length > 0 ? ['cpu' as const] : []),
  ...(hasEmulation() ? ['cuda-emulated' as const] : []),
]

/** Kinds that suites run on besides the reference: those that are wanted, or what this installation has but a GPU. */
export const nativeKinds: readonly DeviceKind[] = wantedKinds ?? presentKinds

/** A device of each kind, `cpu` of every instruction set and with two threads. */
export const testDevices: readonly DeviceOptions[] = (['reference', ...nativeKinds] as const).flatMap(
  (kind): DeviceOptions[] => (kind === 'cpu' ? isas.map((isa) => ({ kind, isa, threads: 2 })) : [{ kind }]),
)
