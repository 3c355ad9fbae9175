import { type Device, type DeviceKind, openDevice } from '@hass-engine/kernels'
import { afterAll } from 'vitest'
import { wantedKinds } from '../../../kernels/src/testing/devices.js'

/** The emulated GPU takes minutes for whole models: `npm run test:cuda-emulated` asks for it. */
export const deviceKinds: readonly DeviceKind[] = ['reference', ...(wantedKinds ?? ['cpu'])]

/** A device for the tests of the calling block, disposed of behind them. */
export function useDevice(kind: DeviceKind, threads = 2): () => Device {
  let device: Device | undefined
  afterAll(() => device?.dispose())
  return () => {
    device ??= openDevice(kind === 'cpu' ? { kind, threads } : { kind })
    return device
  }
}
