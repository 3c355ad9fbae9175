/** A safetensors file with the given header, as text or as an object, and `dataLength` bytes 0, 1, 2, … of data. */
export function buildSafetensors(header: string | object, dataLength = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.byteLength + dataLength)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true)
  bytes.set(json, 8)
  for (let i = 0; i < dataLength; i++) bytes[8 + json.byteLength + i] = i
  return bytes
}
