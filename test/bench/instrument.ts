// An engine that notes what each of its steps costs the host.
import { GlazeEngine } from '../../src/engine/engine.ts'
import type { LoadedModel } from '../../src/engine/load.ts'

export interface HostTimes {
  engine: GlazeEngine
  /** Microseconds of the CPU to write, encode and submit each step so far. */
  submitUs: number[]
}

/** Another engine on a loaded model, whose own must be idle. */
export function instrument({ engine }: LoadedModel, stepsInFlight = 2): HostTimes {
  const { runner, admission, options } = engine
  const submitUs: number[] = []
  const timed: GlazeEngine['runner'] = {
    decoder: runner.decoder,
    run: (work) => {
      const start = performance.now()
      const results = runner.run(work)
      submitUs.push((performance.now() - start) * 1000)
      return results
    },
  }
  return { engine: new GlazeEngine(timed, admission, { ...options, stepsInFlight }), submitUs }
}
