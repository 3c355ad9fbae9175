import { execFileSync } from 'node:child_process'

/** `name<arguments>` of kernels, from their symbols: the same for nvcc's machine code and for a C++ compiler's. */
export function readableNames(symbols) {
  if (symbols.length === 0) return []
  const input = symbols.join('\n')
  const lines = execFileSync('c++filt', { input, encoding: 'utf8', maxBuffer: 1 << 26 })
    .trimEnd()
    .split('\n')
  return lines.map(readableName)
}

/** The same of a declaration such as `void hass::cuda::(anonymous namespace)::rope<1>(Parameters)`. */
export function readableName(declaration) {
  const short = declaration.replace(/\(anonymous namespace\)::|hass::|cuda::/g, '')
  return /^(?:void )?(\w+(?:<.*?>)?)\(/.exec(short)?.[1] ?? declaration
}
