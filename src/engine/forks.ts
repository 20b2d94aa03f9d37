// Generations that branch off a running one: they wait until nothing of it is on the GPU, because
// only then the host knows every token whose effect is in its state.
import { ApiError } from '../errors.ts'
import type { PrefixAdmission } from './admission.ts'
import type { Generation } from './request.ts'
import type { Scheduler } from './scheduler.ts'
import type { Sequence } from './sequence.ts'

interface Fork {
  parent: Sequence
  child: Sequence
}

export class Forks {
  #pending: Fork[] = []

  constructor(
    readonly scheduler: Scheduler,
    readonly admission: PrefixAdmission,
    /** Called for each fork when its state has been copied. */
    readonly onFork: (parent: Sequence, child: Sequence) => void,
  ) {}

  /** Children that wait. */
  get children(): Sequence[] {
    return this.#pending.map(({ child }) => child)
  }

  /** Lets the parent stand still until it has been copied. */
  add(parent: Sequence, child: Sequence): void {
    parent.held++
    this.#pending.push({ parent, child })
  }

  /** Copies the states of generations that stand still by now. */
  copy(): void {
    const due = this.#pending.filter(({ parent }) => parent.inFlight === 0)
    if (due.length === 0) return
    this.#pending = this.#pending.filter((fork) => !due.includes(fork))
    for (const { parent, child } of due) {
      parent.held--
      if (child.stream.ended) continue
      if (parent.slot === undefined) child.stream.fail(hasEnded(parent.stream))
      else if (!this.scheduler.adopt(child)) child.stream.fail(noSlot(this.scheduler.pool.size))
      else this.#continue(parent, child)
    }
  }

  clear(): void {
    this.#pending = []
  }

  #continue(parent: Sequence, child: Sequence): void {
    child.continueFrom(parent)
    this.admission.push(this.admission.copies.fork(parent.slot!, child.slot!))
    this.admission.loadTables(child)
    this.onFork(parent, child)
  }
}

export function hasNotBegun({ id }: Generation): ApiError {
  const message = `generation ${id} is a fork itself and has not begun; fork it after its first token`
  return new ApiError(409, message, { code: 'has_not_begun' })
}

export function hasEnded({ id }: Generation): ApiError {
  return new ApiError(409, `generation ${id} has ended and can't be forked`, { code: 'has_ended' })
}

function noSlot(slots: number): ApiError {
  return new ApiError(429, `no slot is free for a fork; there are ${slots}`, {
    code: 'no_free_slot',
    retryAfter: 1,
  })
}
