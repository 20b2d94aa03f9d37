// What the processes of `bench http` say to each other.

export type Route = 'completions' | 'chat'

export interface ServerOptions {
  /** Of the checkpoint whose tokenizer is used. */
  folder: string
  /** Milliseconds of a step on the device. */
  stepMs: number
  slots: number
  /** Looks for the end of a step at every turn of the event loop. */
  polls: boolean
}

/** Asked for by a message of any content; since the last one. */
export interface ServerUsage {
  /** CPU time of all threads of the process, in microseconds. */
  cpuUs: number
  /** Milliseconds from the end of each step to when the host saw it. */
  lateness: number[]
}

/** Tells a client to open its streams and read them to their ends. */
export interface ClientTask {
  url: string
  route: Route
  streams: number
  /** Of each stream. */
  tokens: number
}

/** One stream; milliseconds since 1970. */
export interface StreamSpan {
  firstAt: number
  lastAt: number
  /** That came after the first read that had any. */
  tokens: number
}
