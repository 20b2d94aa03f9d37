// Guides in plain TypeScript for tests of the engine: they look at nothing but ids, and remember what
// was done with them.
import type { GuideFactory, TokenGuide } from '../../src/grammar/guide.ts'

/** Ids that may follow those generated so far; an end token among them lets the text end. */
export type Rule = (before: readonly number[]) => readonly number[]

export interface FakeGuideOptions {
  vocabSize: number
  rule: Rule
  /** Called where a guide may fail, with what is about to be done. */
  onCall?: (call: 'allowed' | 'accept', before: readonly number[]) => void
}

class FakeGuide implements TokenGuide {
  readonly accepted: number[] = []
  disposals = 0
  /** Masks asked for; one at a time is all that makes sense. */
  asked = 0

  constructor(readonly options: FakeGuideOptions) {}

  async allowed(): Promise<Uint32Array> {
    const { vocabSize, rule, onCall } = this.options
    await Promise.resolve()
    this.#check()
    onCall?.('allowed', this.accepted)
    this.asked++
    const words = new Uint32Array(Math.ceil(vocabSize / 32))
    for (const id of rule(this.accepted)) words[id >>> 5] |= 1 << (id & 31)
    return words
  }

  accept(id: number): void {
    const { rule, onCall } = this.options
    this.#check()
    onCall?.('accept', this.accepted)
    if (!rule(this.accepted).includes(id)) throw new Error(`token ${id} after ${this.accepted}`)
    this.accepted.push(id)
  }

  [Symbol.dispose](): void {
    this.disposals++
  }

  #check(): void {
    if (this.disposals > 0) throw new Error('a guide is used that was disposed')
  }
}

/** Makes guides and keeps them for the test to look at. */
export function fakeGuides(options: FakeGuideOptions): {
  make: GuideFactory
  made: readonly FakeGuide[]
} {
  const made: FakeGuide[] = []
  const make = () => {
    const guide = new FakeGuide(options)
    made.push(guide)
    return guide
  }
  return { make, made }
}

/** Even and odd ids in turn, beginning with even ones, and none of `except`. */
export function alternate(vocabSize: number, except: readonly number[] = []): Rule {
  const ids = Array.from({ length: vocabSize }, (_, id) => id).filter((id) => !except.includes(id))
  const byParity = [0, 1].map((parity) => ids.filter((id) => id % 2 === parity))
  return (before) => byParity[before.length % 2]
}

/** One of these runs of ids, and then an end token. */
export function oneOf(runs: readonly (readonly number[])[], endIds: readonly number[]): Rule {
  return (before) => {
    const open = runs.filter((run) => before.every((id, i) => id === run[i]))
    const ids = open.filter(({ length }) => length > before.length).map((run) => run[before.length])
    const isComplete = open.some(({ length }) => length === before.length)
    return [...new Set(isComplete ? [...ids, ...endIds] : ids)]
  }
}
