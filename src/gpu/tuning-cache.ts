// Keeps what autotuning found in the user's cache folder.
import { createHash } from 'node:crypto'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { cacheFolder } from './cache-folder.ts'
import type { ProductTuning } from './products.ts'

/** What a tuning is good for; anything else is measured anew. */
export interface TuningKey {
  /** Vendor, architecture and name of the adapter, with its driver where the name tells it. */
  adapter: string
  /** Of glaze. */
  version: string
  weights: string
  hiddenSize: number
  innerSize: number
}

const size = z.int().positive()
const lanes = z.object({ lanes: size, groups: size })
const few = z.object({ one: lanes, more: lanes, residual: lanes, gated: lanes })
const tile = z.object({
  ...{ rows: size, outputs: size, rowsEach: size, steps: size, slices: size },
  outputsEach: z.union([z.literal(4), z.literal(8)]),
})
const choices = z.array(
  z.object({
    // JSON has no infinity.
    most: size.nullable().transform((most) => most ?? Number.POSITIVE_INFINITY),
    tile,
    narrow: tile.optional(),
  }),
)
const stored = z.object({
  key: z.looseObject({}),
  products: z.object({
    few: z.object({ floats: few, int8: few, int4: few }),
    floats: choices,
    ints: choices,
  }),
})

/** What is kept for a key; undefined if nothing is, or nothing that can be read. */
export async function loadTuning(
  key: TuningKey,
  folder = cacheFolder(),
): Promise<ProductTuning | undefined> {
  const content = await Bun.file(fileOf(key, folder))
    .json()
    .catch(() => undefined)
  const parsed = stored.safeParse(content)
  return parsed.success ? parsed.data.products : undefined
}

/** Keeps a tuning. A folder that cannot be written costs a measurement at the next start. */
export async function saveTuning(
  key: TuningKey,
  products: ProductTuning,
  folder = cacheFolder(),
): Promise<boolean> {
  const file = fileOf(key, folder)
  const text = JSON.stringify({ key, products }, undefined, 2)
  try {
    await mkdir(folder, { recursive: true })
    // Another process may be reading or writing the same file.
    await writeFile(`${file}.${process.pid}`, `${text}\n`)
    await rename(`${file}.${process.pid}`, file)
    return true
  } catch {
    return false
  }
}

function fileOf(key: TuningKey, folder: string): string {
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16)
  return join(folder, `tuning-${digest}.json`)
}
