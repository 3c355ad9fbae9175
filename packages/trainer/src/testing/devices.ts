import { type Device, type DeviceKind, openDevice } from '@hass-engine/kernels'
import { afterAll } from 'vitest'

export const deviceKinds = ['reference', 'cpu'] as const satisfies readonly DeviceKind[]

/** A device for the tests of the calling block, disposed of behind them. */
export function useDevice(kind: DeviceKind, threads = 2): () => Device {
  let device: Device | undefined
  afterAll(() => device?.dispose())
  return () => {
    device ??= openDevice(kind === 'cpu' ? { kind, threads } : { kind })
    return device
  }
}
