// The signals that end a command from outside.

import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

/** 128 is added to the number of a signal for the exit code of a process that it ended. */
const BASE = 128
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const

/** Exit code of a process whose output nobody reads any more. */
export const BROKEN_PIPE = BASE + constants.signals.SIGPIPE

/**
 * Tells of signals until it is disposed of. Process 1 of a container would not end at all without this.
 * @param end gets the exit code of a process that was ended so
 */
export function onEndingSignals(end: (exitCode: number) => void): Disposable {
  const heard = SIGNALS.filter((signal) => signal !== 'SIGHUP' || !ignoresHangUp())
  const handle = (signal: (typeof SIGNALS)[number]) => end(BASE + constants.signals[signal])
  for (const signal of heard) process.on(signal, handle)
  return {
    [Symbol.dispose]: () => {
      for (const signal of heard) process.off(signal, handle)
    },
  }
}

/** Whether the process was started with nohup, so that it outlives its terminal. */
function ignoresHangUp(): boolean {
  if (process.platform !== 'linux') return false
  const ignored = /^SigIgn:\s*([\da-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return (BigInt(`0x${ignored ?? 0}`) & (1n << BigInt(constants.signals.SIGHUP - 1))) !== 0n
}
