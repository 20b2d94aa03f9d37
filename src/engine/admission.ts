// How a sequence gets its first state: from nothing, from a prefix that was kept, or from one that
// another sequence is computing right now.
import { commonPrefix } from '../common-prefix.ts'
import { CHUNK } from '../gpu/step.ts'
import type { Hit, PrefixCache, PrefixQuery } from './prefix-cache.ts'
import { planCuts, unalignedCuts } from './prefix-cuts.ts'
import type { Copy } from './runner.ts'
import type { SamplingTables } from './sampling-tables.ts'
import type { Admission } from './scheduler.ts'
import type { Sequence } from './sequence.ts'
import type { StateCopies } from './state-copies.ts'

export class PrefixAdmission implements Admission {
  /** What the step being made has to do first. */
  #before: Copy[] = []
  /** Snapshot rows with the logits of prompts that need no computation, by sequence. */
  #restored = new Map<Sequence, number>()

  constructor(
    readonly cache: PrefixCache,
    readonly copies: StateCopies,
    readonly tables: Pick<SamplingTables, 'load' | 'writeMask'>,
  ) {}

  /**
   * Looks for a sequence under way that computes a longer common prefix than is kept, and has it keep
   * the state there.
   */
  enter(sequence: Sequence, others: readonly Sequence[]): void {
    if (!this.cache.enabled || sequence.scoresPrompt || sequence.parent) return
    const kept = this.cache.find(queryOf(sequence))?.position ?? 0
    let best = { producer: sequence, position: kept }
    for (const producer of others) {
      // Those that wait for another one begin like that one, which is in the list, too.
      if (!producer.prefilling || producer.scoresPrompt || producer.provider) continue
      const position = this.#meeting(sequence, producer)
      const isWorthIt = position - kept >= CHUNK || position === sequence.request.prompt.length
      if (!isWorthIt || position <= producer.position) continue
      if (position > best.position) best = { producer, position }
    }
    if (best.producer === sequence) return
    best.producer.addCut(best.position)
    sequence.awaited = best
  }

  ready(sequence: Sequence): boolean {
    const { provider, awaited } = sequence
    if (provider && awaited) {
      if (provider.slot !== undefined || provider.provider) return false
      // This one goes first after all, so the other one can wait for it.
      sequence.addCut(awaited.position)
      provider.awaited = { producer: sequence, position: awaited.position }
    }
    sequence.awaited = undefined
    return true
  }

  isComplete(sequence: Sequence): boolean {
    return !sequence.scoresPrompt && this.cache.find(queryOf(sequence))?.complete === true
  }

  start(sequence: Sequence): void {
    const slot = sequence.slot!
    this.loadTables(sequence)
    const hit = sequence.scoresPrompt ? undefined : this.cache.find(queryOf(sequence))
    const row = hit && this.cache.row(hit)
    if (hit && row !== undefined) this.#resume(sequence, hit, row)
    else {
      this.#before.push(this.copies.clear(slot))
      if (this.cache.enabled && !sequence.scoresPrompt) this.cache.missed()
    }
    this.#planCuts(sequence)
  }

  /** Bias and history of a sequence that has just got its slot. */
  loadTables({ slot, request, generated }: Sequence): void {
    this.tables.load(slot!, request.sampling, request.prompt, generated)
  }

  /** Adds copies that must come before the next step. */
  push(copies: readonly Copy[]): void {
    this.#before.push(...copies)
  }

  /** Hands over what was collected for the step being made. */
  take(): { before: Copy[]; restored: Map<Sequence, number> } {
    const taken = { before: this.#before, restored: this.#restored }
    this.#before = []
    this.#restored = new Map()
    return taken
  }

  /** True if the state at this prompt position, where a slice ends, is to be kept. */
  keeps(sequence: Sequence, position: number): boolean {
    const { prompt, cacheBreakpoints = [] } = sequence.request
    if (!this.cache.enabled) return false
    if (sequence.scoresPrompt) return cacheBreakpoints.includes(position)
    return position === prompt.length || sequence.cuts.includes(position)
  }

  #resume(sequence: Sequence, hit: Hit, row: number): void {
    this.cache.used(hit)
    this.#before.push(this.copies.load(row, sequence.slot!))
    sequence.position = hit.position
    sequence.submitted = hit.position
    sequence.cache.read = hit.position
    if (hit.complete) this.#restored.set(sequence, row)
  }

  #planCuts(sequence: Sequence): void {
    const query = queryOf(sequence)
    const { length } = query.tokens
    const { breakpoints } = query
    const isKept = this.cache.enabled && !sequence.scoresPrompt
    const cuts = isKept
      ? planCuts({ length, from: sequence.position, breakpoints, branch: this.cache.branch(query) })
      : breakpoints
    for (const cut of cuts) sequence.addCut(cut)
  }

  /** The longest common prefix, in tokens, at whose end the state of one may serve the other. */
  #meeting(sequence: Sequence, producer: Sequence): number {
    const [own, other] = [queryOf(sequence), queryOf(producer)]
    if (own.salt !== other.salt) return 0
    const shared = commonPrefix(own.tokens, other.tokens)
    const isWhole = shared === other.tokens.length
    const isSame = isWhole && shared === own.tokens.length && producer.maxTokens > 0
    const isUsable = isSame || (isWhole && shared < own.tokens.length && !this.cache.options.exact)
    const position = isUsable
      ? shared
      : Math.floor(Math.min(shared, own.tokens.length - 1) / CHUNK) * CHUNK
    if (!this.cache.options.exact) return position
    const cuts = (query: PrefixQuery) => String(unalignedCuts(query.breakpoints, position))
    return cuts(own) === cuts(other) ? position : 0
  }
}

/** A sequence's prompt as the prefix cache sees it. */
export function queryOf({ request }: Sequence): PrefixQuery {
  const { prompt, cacheSalt = '', cacheBreakpoints = [] } = request
  return { tokens: prompt, salt: cacheSalt, breakpoints: cacheBreakpoints }
}
