// The prefix cache: which prompts' states are kept, and from which of them a new prompt goes on.
// Where the states lie is the business of SnapshotPlaces.
import { CHUNK } from '../gpu/step.ts'
import { unalignedCuts } from './prefix-cuts.ts'
import { type PrefixEntry, PrefixTree } from './prefix-tree.ts'
import type { PrefixCacheStats } from './request.ts'
import { type Placed, SnapshotPlaces, type SnapshotRows } from './snapshot-places.ts'

export interface PrefixCacheOptions {
  /** Snapshots are used only where the answer has the bits of a run without them. */
  exact: boolean
  memory: SnapshotRows
}

/** A prompt as the cache sees it. */
export interface PrefixQuery {
  tokens: ArrayLike<number>
  /** Snapshots are shared within a salt only; '' for none. */
  salt: string
  /** Positions in tokens where the caller asked for snapshots, ascending, each once. */
  breakpoints: readonly number[]
}

interface Kept extends Placed {
  /** Unaligned cuts of the computation before the snapshot, which its bits depend on. */
  readonly cuts: readonly number[]
  /** The row holds the logits of the prefix's last token as well. */
  logits: boolean
}

/** A kept state; its length is the number of tokens that it has seen. */
export type Snapshot = PrefixEntry<Kept>

/** A prefix whose state is at hand. */
export interface Hit {
  snapshot: Snapshot
  /** Tokens that need not be computed. */
  position: number
  /** The whole prompt: the logits of its last token are at hand too. */
  complete: boolean
}

/**
 * Used while a step is made: `find` and `row` before its work is encoded, `put` for what it computes,
 * `submitted` once it is on its way. Snapshots that one step has touched make no room for each other.
 */
export class PrefixCache {
  readonly #tree = new PrefixTree<Kept>()
  readonly #places: SnapshotPlaces<Snapshot>
  readonly #counts = { hits: 0, misses: 0, readTokens: 0, written: 0 }

  constructor(readonly options: PrefixCacheOptions) {
    this.#places = new SnapshotPlaces(options.memory, (snapshot) => this.#tree.remove(snapshot))
  }

  /** False if no snapshot fits: nothing is ever found then, and cuts for snapshots are of no use. */
  get enabled(): boolean {
    return this.options.memory.rows > 0
  }

  /** The longest prefix whose snapshot the prompt can go on from. */
  find(query: PrefixQuery): Hit | undefined {
    const { tokens, salt } = query
    const snapshot = this.#tree
      .prefixesOf(salt, tokens)
      .find((candidate) => this.#usable(candidate, query))
    if (!snapshot) return undefined
    this.#places.touch(snapshot)
    const position = snapshot.length
    return { snapshot, position, complete: position === tokens.length }
  }

  /** Counts a hit whose state was put to use. */
  used(hit: Hit): void {
    this.#counts.hits++
    this.#counts.readTokens += hit.position
  }

  /** Counts a prompt that is computed from its start. */
  missed(): void {
    this.#counts.misses++
  }

  /** Multiple of 64 up to which the prompt equals one that left a snapshot; 0 if there is none. */
  branch({ salt, tokens }: PrefixQuery): number {
    const shared = this.#tree.sharedLength(salt, tokens)
    return shared - (shared % CHUNK)
  }

  /**
   * Keeps the state after the first `position` tokens of a prompt that is cut at all its breakpoints.
   * @param withLogits the logits of the last of these tokens are kept too
   * @returns the GPU row that the step being made must copy the state into; undefined if there is
   *   nothing to copy: it is kept already, or there is no room
   */
  put(query: PrefixQuery, position: number, withLogits: boolean): number | undefined {
    const { tokens, salt, breakpoints } = query
    if (!this.enabled) return undefined
    const cuts = unalignedCuts(breakpoints, position)
    const old = this.#tree
      .prefixesOf(salt, tokens, position)
      .find(({ length, value }) => length === position && this.#sameBits(value, cuts))
    if (old) return this.#refresh(old, withLogits)
    const row = this.#places.takeRow()
    if (row === undefined) return undefined
    this.#counts.written++
    const kept: Kept = { cuts, logits: withLogits, place: { kind: 'gpu', row } }
    this.#places.touch(this.#tree.add(salt, tokens, position, kept))
    return row
  }

  /**
   * The GPU row that the step being made can copy the state of a hit from. A snapshot in host memory
   * is brought back first.
   * @returns undefined if it is gone, or if all rows serve this step: the prompt must be computed
   */
  row({ snapshot }: Hit): number | undefined {
    return this.#places.has(snapshot) ? this.#places.bringIn(snapshot) : undefined
  }

  /** To be called when a step was submitted. */
  submitted(): void {
    this.#places.submitted()
  }

  stats(): PrefixCacheStats {
    const { size, gpuBytes, hostBytes, demoted, evicted } = this.#places
    return { snapshots: size, gpuBytes, hostBytes, demoted, evicted, ...this.#counts }
  }

  /** Forgets all snapshots; not while a step is being made. */
  clear(): void {
    for (const snapshot of [...this.#tree]) this.#tree.remove(snapshot)
    this.#places.clear()
  }

  /**
   * Waits until no snapshot is on its way to the host; until then buffers must not be destroyed.
   * Never ends once the device is lost.
   */
  settled(): Promise<void> {
    return this.#places.settled()
  }

  /** Throws if a row was lost or serves twice, or if the tree holds what has no place. */
  check(): void {
    this.#tree.check()
    this.#places.check([...this.#tree])
  }

  #usable({ length: position, value }: Snapshot, { tokens, breakpoints }: PrefixQuery): boolean {
    if (value.place.kind === 'leaving') return false
    const whole = position === tokens.length
    if (whole && !value.logits) return false
    if (!this.options.exact) return true
    const cutHere = whole || position % CHUNK === 0 || breakpoints.includes(position)
    return cutHere && this.#sameBits(value, unalignedCuts(breakpoints, position))
  }

  /** Whether a computation with these unaligned cuts gives what is kept, as far as it matters. */
  #sameBits(kept: Kept, cuts: readonly number[]): boolean {
    if (!this.options.exact) return true
    return kept.cuts.length === cuts.length && kept.cuts.every((cut, i) => cut === cuts[i])
  }

  /** A snapshot that was computed again: it counts as used, and may gain logits. */
  #refresh(snapshot: Snapshot, withLogits: boolean): number | undefined {
    const { value } = snapshot
    this.#places.touch(snapshot)
    if (value.logits || !withLogits) return undefined
    const inPlace = value.place.kind === 'gpu'
    const row = value.place.kind === 'gpu' ? value.place.row : this.#places.takeRow()
    if (row === undefined) return undefined
    if (!inPlace) this.#places.moveIn(snapshot, row)
    value.logits = true
    this.#counts.written++
    return row
  }
}
