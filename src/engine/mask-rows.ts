// Keeps the mask rows of the sampling tables at what the next step needs. A mask that follows from
// tokens drawn before is computed between two steps, when those tokens are known.
import { failSequence } from './results.ts'
import type { SamplingTables } from './sampling-tables.ts'
import type { Sequence } from './sequence.ts'

/** Masks of waiting sequences that are computed at a time. */
const AHEAD = 4

export class MaskRows {
  /** Those whose masks follow from their tokens. */
  readonly #following = new Set<Sequence>()
  readonly #computing = new Map<Sequence, Promise<void>>()

  constructor(
    readonly tables: Pick<SamplingTables, 'writeMask'>,
    readonly onError?: (message: string, error: unknown) => void,
  ) {}

  add(sequence: Sequence): void {
    if (sequence.mask?.followsTokens) this.#following.add(sequence)
  }

  remove(sequence: Sequence): void {
    this.#following.delete(sequence)
    this.#computing.delete(sequence)
  }

  /**
   * Begins to compute masks that are due, those of running sequences first. Where that fails only the
   * sequence does.
   */
  begin(): void {
    const due = [...this.#following].filter(
      (sequence) => sequence.mask!.isDue && !this.#computing.has(sequence),
    )
    for (const sequence of due) if (sequence.slot !== undefined) this.#compute(sequence)
    const waiting = due.filter(({ slot }) => slot === undefined)
    waiting.sort((a, b) => a.priority - b.priority)
    // Few at a time: one behind the other they would hold up the running ones.
    const begun = [...this.#computing.keys()].filter(({ slot }) => slot === undefined).length
    for (const sequence of waiting.slice(0, Math.max(0, AHEAD - begun))) this.#compute(sequence)
  }

  /** True if a mask is being computed. */
  get areComing(): boolean {
    return this.#computing.size > 0
  }

  /** Resolves when the masks of all running sequences are known; undefined if they are. */
  get running(): Promise<unknown> | undefined {
    const waited = [...this.#computing].filter(([{ slot }]) => slot !== undefined)
    return waited.length === 0 ? undefined : Promise.all(waited.map(([, computed]) => computed))
  }

  /** Resolves when one more mask is known. */
  get next(): Promise<unknown> {
    return Promise.race(this.#computing.values())
  }

  #compute(sequence: Sequence): void {
    const computed = this.#prepare(sequence).finally(() => this.#computing.delete(sequence))
    this.#computing.set(sequence, computed)
  }

  async #prepare(sequence: Sequence): Promise<void> {
    try {
      await sequence.mask!.prepare()
    } catch (error) {
      failSequence(sequence, error, this.onError)
    }
  }

  /** Writes the row of a sequence's slot, if it changes, before the step that draws from it. */
  write({ mask, slot }: Sequence): void {
    const words = mask?.take()
    if (words) this.tables.writeMask(slot!, words)
  }
}
