// Snapshot memory without a GPU. It keeps the order of a GPU's queue: what a step encodes happens
// when the step is submitted, saving and restoring happen at once, and copies reach the host later.
import type { SnapshotRows } from '../../src/engine/snapshot-places.ts'

/** What stands for a state: the tokens it has seen, and the cuts that shaped its rounding. */
export interface FakeState {
  prefix: string
  logits: boolean
}

export class FakeMemory implements SnapshotRows {
  readonly rowBytes = 12
  /** Copies to the host that are under way, oldest first. */
  readonly saves: { end(failed?: boolean): void }[] = []
  readonly #gpu: (FakeState | undefined)[] = []
  readonly #host: (FakeState | undefined)[] = []
  #encoded: (() => void)[] = []

  constructor(
    readonly rows: number,
    readonly hostRows: number,
  ) {}

  get canSave(): boolean {
    return this.hostRows > 0 && this.saves.length < 2
  }

  save(row: number, hostRow: number): Promise<void> {
    if (!this.canSave) throw new Error('saved although canSave is false')
    const state = this.#gpu[row]
    return new Promise((resolve, reject) => {
      this.saves.push({
        end: (failed = false) => {
          this.#host[hostRow] = failed ? undefined : state
          if (failed) reject(new Error('the device was lost'))
          else resolve()
        },
      })
    })
  }

  restore(hostRow: number, row: number): void {
    this.#gpu[row] = this.#host[hostRow]
  }

  /** Encodes a copy of a state into a row. */
  encodeWrite(row: number, state: FakeState): void {
    this.#encoded.push(() => {
      this.#gpu[row] = state
    })
  }

  /** Encodes a copy of a row; `use` gets what was there when the step ran. */
  encodeRead(row: number, use: (state: FakeState | undefined) => void): void {
    this.#encoded.push(() => use(this.#gpu[row]))
  }

  submit(): void {
    for (const run of this.#encoded) run()
    this.#encoded = []
  }

  /** Ends the oldest copy to the host, and waits until those who wait for it have run. */
  async endSave(failed = false): Promise<void> {
    this.saves.shift()?.end(failed)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
