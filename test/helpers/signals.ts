// What signals do to this process and so to its children.
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

/** Signals that are ignored, as SIGHUP is under nohup. */
export function isIgnored(signal: 'SIGHUP' | 'SIGINT' | 'SIGTERM'): boolean {
  if (process.platform !== 'linux') return false
  const status = readFileSync('/proc/self/status', 'utf8')
  const mask = BigInt(`0x${/^SigIgn:\s*(\w+)$/m.exec(status)![1]}`)
  return ((mask >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n
}
