// Whether the memory of a long run stays flat.

/** Growth that is taken for noise: a share of what there was, and bytes. */
const TOLERATED_SHARE = 0.02
const TOLERATED_BYTES = 4 * 2 ** 20

export interface MemoryVerdict {
  /** Medians, in bytes, of the second and the last quarter of the samples. */
  early: number
  late: number
  flat: boolean
}

/** Judges samples that were taken at even distances; the first quarter is warm-up. */
export function judgeMemory(samples: readonly number[]): MemoryVerdict {
  const quarter = (index: number) =>
    samples.slice((samples.length * index) / 4, (samples.length * (index + 1)) / 4)
  const early = median(quarter(1))
  const late = median(quarter(3))
  return { early, late, flat: late <= early * (1 + TOLERATED_SHARE) + TOLERATED_BYTES }
}

/** Resident bytes of the process, once what is no longer used has been collected. */
export function residentBytes(): number {
  Bun.gc(true)
  return process.memoryUsage().rss
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
