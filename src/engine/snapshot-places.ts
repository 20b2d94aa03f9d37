// Where each snapshot lies, and which one goes when room is needed: from the GPU to the host the one
// used least recently, from there the one that came or was used the longest ago. Knows no GPU: rows
// are numbers here, and SnapshotMemory moves what is in them.
import { invariant } from '../errors.ts'
import { StatePool } from './state-pool.ts'

/** Memory for snapshots; SnapshotMemory is the real one. */
export interface SnapshotRows {
  /** Snapshots that fit into GPU memory, in host memory, and the bytes of each. */
  readonly rows: number
  readonly hostRows: number
  readonly rowBytes: number
  /** A copy to the host can begin now. */
  readonly canSave: boolean
  /**
   * Begins to copy a row, as what was submitted before leaves it, to the host; the row may be
   * written at once. Resolves when the copy can be restored, rejects if it is lost.
   */
  save(row: number, hostRow: number): Promise<void>
  /** Writes a copy into a row, before anything that is submitted later; the host row is then free. */
  restore(hostRow: number, row: number): void
}

/** In GPU memory; on its way to the host, where it cannot be used; or there. */
export type Place = { kind: 'gpu'; row: number } | { kind: 'leaving' | 'host'; hostRow: number }

/** Something that lies in a place. */
export interface Placed {
  place: Place
}

/**
 * Rows are read and written by copies that the engine encodes into its step, and by copies and
 * writes that go to the queue at once, ahead of that step. So that these cannot overtake each other,
 * what was touched stays where it is until `submitted` is called.
 */
export class SnapshotPlaces<T extends { readonly value: Placed }> {
  demoted = 0
  evicted = 0
  /** Snapshots by kind of place, those to go first in front, each with the tick of its last use. */
  readonly #lists: Record<Place['kind'], Map<T, number>> = {
    gpu: new Map(),
    leaving: new Map(),
    host: new Map(),
  }
  readonly #rows: StatePool
  readonly #hostRows: StatePool
  /** Copies under way by host row, also of snapshots that are gone by now. */
  readonly #saves = new Map<number, Promise<void>>()
  /** Counts uses. */
  #tick = 0
  /** Ticks up to the last step that was submitted. */
  #submitted = 0

  constructor(
    readonly memory: SnapshotRows,
    /** Told about each snapshot that had to go or was lost. */
    readonly onEvict: (snapshot: T) => void,
  ) {
    this.#rows = new StatePool(memory.rows)
    this.#hostRows = new StatePool(memory.hostRows)
  }

  get size(): number {
    const { gpu, leaving, host } = this.#lists
    return gpu.size + leaving.size + host.size
  }

  get gpuBytes(): number {
    return usedRows(this.#rows) * this.memory.rowBytes
  }

  /** With the rows that are being written. */
  get hostBytes(): number {
    return usedRows(this.#hostRows) * this.memory.rowBytes
  }

  has(snapshot: T): boolean {
    return this.#listOf(snapshot).has(snapshot)
  }

  /** Notes a use, the first one too. */
  touch(snapshot: T): void {
    const list = this.#listOf(snapshot)
    list.delete(snapshot)
    list.set(snapshot, ++this.#tick)
  }

  /** A step was submitted: what it touched may make room now. */
  submitted(): void {
    this.#submitted = this.#tick
  }

  /**
   * A GPU row; the snapshot in it, if there is one, begins to move to the host or is evicted.
   * Undefined if the step being made needs all of them.
   */
  takeRow(): number | undefined {
    if (this.#rows.free === 0) {
      const oldest = this.#oldest('gpu')
      if (!oldest) return undefined
      if (!this.#demote(oldest)) this.#evict(oldest)
    }
    return this.#rows.take()
  }

  /** Puts a snapshot that is not in GPU memory into a row that was taken for it. */
  moveIn(snapshot: T, row: number): void {
    this.#free(snapshot.value.place)
    this.#move(snapshot, { kind: 'gpu', row })
  }

  /** Brings a snapshot to the GPU, where it is not there; returns its row, undefined without room. */
  bringIn(snapshot: T): number | undefined {
    this.touch(snapshot)
    const { place } = snapshot.value
    if (place.kind === 'gpu') return place.row
    if (place.kind === 'leaving') return undefined
    const row = this.takeRow()
    if (row === undefined) return undefined
    this.memory.restore(place.hostRow, row)
    this.moveIn(snapshot, row)
    return row
  }

  /** Forgets all; not while a step is being made. */
  clear(): void {
    for (const list of Object.values(this.#lists)) {
      for (const snapshot of list.keys()) this.#free(snapshot.value.place)
      list.clear()
    }
  }

  /** Waits for the copies under way; those of a lost device may never end. */
  async settled(): Promise<void> {
    await Promise.all(this.#saves.values())
  }

  /** Throws if a row is lost or serves twice, or if `snapshots` are not the ones that lie here. */
  check(snapshots: readonly T[]): void {
    invariant(
      snapshots.length === this.size && snapshots.every((snapshot) => this.has(snapshot)),
      `${snapshots.length} snapshots known, ${this.size} in memory, or not the same ones`,
    )
    const rows: number[] = []
    const hostRows = [...this.#saves.keys()]
    for (const { value } of snapshots) {
      const { place } = value
      if (place.kind === 'gpu') rows.push(place.row)
      else if (place.kind === 'host') hostRows.push(place.hostRow)
      else invariant(this.#saves.has(place.hostRow), `nothing is saved to row ${place.hostRow}`)
    }
    checkRows('GPU', rows, this.#rows)
    checkRows('host', hostRows, this.#hostRows)
  }

  /** Begins to move a snapshot from the GPU to the host; false if there is no room for it. */
  #demote(snapshot: T): boolean {
    const { place } = snapshot.value
    if (place.kind !== 'gpu' || !this.memory.canSave) return false
    const hostRow = this.#takeHostRow()
    if (hostRow === undefined) return false
    const leaving: Place = { kind: 'leaving', hostRow }
    this.#free(place)
    this.#move(snapshot, leaving)
    const end = (saved: boolean) => {
      this.#saves.delete(hostRow)
      // It may have been forgotten by now, or moved in again.
      const waits = snapshot.value.place === leaving && this.has(snapshot)
      if (saved && waits) {
        this.#move(snapshot, { kind: 'host', hostRow })
        this.demoted++
        return
      }
      this.#hostRows.giveBack(hostRow)
      if (waits) this.#evict(snapshot)
    }
    const save = this.memory.save(place.row, hostRow).then(
      () => end(true),
      () => end(false),
    )
    this.#saves.set(hostRow, save)
    return true
  }

  /** A host row; if need be that of another snapshot, which is evicted. */
  #takeHostRow(): number | undefined {
    if (this.#hostRows.free === 0) {
      const oldest = this.#oldest('host')
      if (!oldest) return undefined
      this.#evict(oldest)
    }
    return this.#hostRows.take()
  }

  /** The snapshot that is the first to go, unless the step being made needs it. */
  #oldest(kind: Place['kind']): T | undefined {
    for (const [snapshot, lastUse] of this.#lists[kind]) {
      return lastUse > this.#submitted ? undefined : snapshot
    }
    return undefined
  }

  #evict(snapshot: T): void {
    this.#free(snapshot.value.place)
    this.#listOf(snapshot).delete(snapshot)
    this.evicted++
    this.onEvict(snapshot)
  }

  #listOf(snapshot: T): Map<T, number> {
    return this.#lists[snapshot.value.place.kind]
  }

  /** Puts a snapshot last in the list of another place. */
  #move(snapshot: T, place: Place): void {
    const lastUse = this.#listOf(snapshot).get(snapshot)!
    this.#listOf(snapshot).delete(snapshot)
    snapshot.value.place = place
    this.#listOf(snapshot).set(snapshot, lastUse)
  }

  /** Frees a row; one that is being written is freed when that ends. */
  #free(place: Place): void {
    if (place.kind === 'gpu') this.#rows.giveBack(place.row)
    if (place.kind === 'host') this.#hostRows.giveBack(place.hostRow)
  }
}

function usedRows({ size, free }: StatePool): number {
  return size - free
}

function checkRows(kind: string, rows: readonly number[], pool: StatePool): void {
  const used = usedRows(pool)
  invariant(rows.length === used, `${used} ${kind} snapshot rows taken, ${rows.length} in use`)
  invariant(new Set(rows).size === used, `a ${kind} snapshot row in use twice`)
}
