// npm run bench:peers [-- --json] [--rounds N] [--threads N]: installs the peer for this platform alone, then compares.
import { installPeer } from './install-peer.mjs'

const failure = installPeer()
if (failure) {
  console.error(failure)
  process.exit(1)
}
await import('./peers.mjs')
