// The safetensors format: 8 bytes of little-endian header length, a JSON header that gives each
// tensor's type, shape and byte range, then the tensors' bytes without gaps.

import { type FileHandle, open } from 'node:fs/promises'
import { CheckpointError, invariant } from '../errors.ts'
import { type Dtype, ITEM_BYTES } from './convert.ts'
import { fileSize, readError } from './files.ts'
import { elementCount, rowLength, type TensorSource } from './tensor-source.ts'

/** The limit of the format's own library; the header of a 7B model has 30 kB. */
const MAX_HEADER_BYTES = 100_000_000

/** One read asks for less than the 2 GiB that Linux hands out at once. */
const MAX_READ_BYTES = 1 << 30

const MAX_RANK = 8

/** What `git clone` without LFS leaves in place of a large file begins with this. */
const LFS_POINTER_START = 'version '

/** Printable, so that errors that name a tensor stay on one line. */
const TENSOR_NAME = /^[ -~]{1,256}$/

/** What the header says about one tensor; `begin` counts from the end of the header. */
export interface TensorEntry {
  dtype: Dtype
  shape: number[]
  begin: number
  end: number
}

/** A tensor inside an open file. Only what is asked for is read, by position. */
export class StoredTensor implements TensorSource {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly #handle: FileHandle
  readonly #offset: number

  constructor(
    readonly name: string,
    readonly file: string,
    entry: TensorEntry,
    handle: FileHandle,
    dataOffset: number,
  ) {
    this.dtype = entry.dtype
    this.shape = entry.shape
    this.#handle = handle
    this.#offset = dataOffset + entry.begin
  }

  async readRows(first: number, count: number, into?: Uint8Array): Promise<Uint8Array> {
    const rows = this.shape[0] ?? 1
    invariant(first >= 0 && count >= 0 && first + count <= rows, `rows of ${this.name}`)
    const rowBytes = rowLength(this.shape) * ITEM_BYTES[this.dtype]
    const bytes = into ?? new Uint8Array(count * rowBytes)
    invariant(bytes.length === count * rowBytes, `place for rows of ${this.name}`)
    await readAt(this.#handle, this.#offset + first * rowBytes, bytes, this.file)
    return bytes
  }
}

/** An open safetensors file; disposing of it closes the file. */
export class SafetensorsFile {
  readonly #handle: FileHandle

  constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, StoredTensor>,
    handle: FileHandle,
  ) {
    this.#handle = handle
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

/**
 * Opens a file and checks its header; tensors are read later. Undefined if there is no such file.
 * Throws CheckpointError for everything that is not a sound file of F32, F16 and BF16 tensors.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile | undefined> {
  const size = await fileSize(path)
  if (size === undefined) return undefined
  const handle = await open(path).catch((error) => {
    throw readError(path, error)
  })
  try {
    const headerBytes = await readHeaderLength(handle, size, path)
    const header = new Uint8Array(headerBytes)
    await readAt(handle, 8, header, path)
    const dataOffset = 8 + headerBytes
    const tensors = new Map<string, StoredTensor>()
    for (const [name, entry] of parseHeader(header, size - dataOffset, path)) {
      tensors.set(name, new StoredTensor(name, path, entry, handle, dataOffset))
    }
    return new SafetensorsFile(path, tensors, handle)
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function readHeaderLength(handle: FileHandle, size: number, path: string): Promise<number> {
  if (size < 8) {
    throw new CheckpointError(path, `has ${size} bytes; a safetensors file has more than 8`)
  }
  const field = new Uint8Array(8)
  await readAt(handle, 0, field, path)
  const length = Number(new DataView(field.buffer).getBigUint64(0, true))
  const limit = Math.min(size - 8, MAX_HEADER_BYTES)
  if (length > limit) {
    if (new TextDecoder().decode(field) === LFS_POINTER_START) {
      throw new CheckpointError(path, 'is a Git LFS pointer, not the file; run `git lfs pull`')
    }
    throw new CheckpointError(
      path,
      `header length: found ${length}; allowed: at most ${limit} (the file has ${size} bytes)`,
    )
  }
  return length
}

/**
 * Tensor entries of a header in file order; `dataBytes` is how much follows the header.
 * Throws CheckpointError, naming the tensor, unless the entries tile the data exactly.
 */
export function parseHeader(
  header: Uint8Array,
  dataBytes: number,
  file: string,
): Map<string, TensorEntry> {
  const entries: [string, TensorEntry][] = []
  for (const [name, value] of Object.entries(parseHeaderJson(header, file))) {
    if (name !== '__metadata__') entries.push([name, parseEntry(name, value, file)])
  }
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let end = 0
  let previous = 'the header'
  for (const [name, entry] of entries) {
    const range = `tensor ${name}: bytes ${entry.begin} to ${entry.end}`
    if (entry.end > dataBytes) {
      throw new CheckpointError(
        file,
        `${range} run past the end of the data (${dataBytes} bytes); is the file truncated?`,
      )
    }
    if (entry.begin < end) throw new CheckpointError(file, `${range} overlap ${previous}`)
    if (entry.begin > end) {
      throw new CheckpointError(
        file,
        `${range} leave a gap after ${previous}, which ends at ${end}`,
      )
    }
    end = entry.end
    previous = `tensor ${name}`
  }
  if (end < dataBytes) {
    throw new CheckpointError(
      file,
      `${dataBytes - end} bytes after ${previous} belong to no tensor`,
    )
  }
  return new Map(entries)
}

function parseHeaderJson(header: Uint8Array, file: string): Record<string, unknown> {
  let text: string
  let json: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(header)
    json = JSON.parse(text)
  } catch {
    throw new CheckpointError(file, 'the header is not JSON; is this a safetensors file?')
  }
  if (!isObject(json)) throw new CheckpointError(file, 'the header is not a JSON object')
  const duplicate = findDuplicateKey(text)
  if (duplicate !== undefined) {
    throw new CheckpointError(file, `tensor ${duplicate} is in the header twice`)
  }
  return json
}

function parseEntry(name: string, value: unknown, file: string): TensorEntry {
  const fail = (what: string, found: unknown, allowed: string) =>
    new CheckpointError(
      file,
      `tensor ${name}: ${what}: found ${JSON.stringify(found) ?? 'nothing'}; allowed: ${allowed}`,
    )
  if (!TENSOR_NAME.test(name)) {
    const shown = JSON.stringify(name.slice(0, 40))
    throw new CheckpointError(file, `tensor name ${shown}; allowed: 1 to 256 printable characters`)
  }
  if (!isObject(value)) throw fail('entry', value, 'an object of dtype, shape and data_offsets')
  const { dtype, shape, data_offsets: range } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(ITEM_BYTES, dtype)) {
    throw fail('dtype', dtype, 'F32, F16, BF16')
  }
  if (!isSizeList(shape) || shape.length > MAX_RANK || !Number.isSafeInteger(elementCount(shape))) {
    throw fail('shape', shape, `a list of at most ${MAX_RANK} whole numbers`)
  }
  if (!isSizeList(range) || range.length !== 2 || range[0] > range[1]) {
    throw fail('data_offsets', range, 'two rising whole numbers')
  }
  const [begin, end] = range
  const bytes = elementCount(shape) * ITEM_BYTES[dtype as Dtype]
  if (end - begin !== bytes) {
    throw fail('data_offsets', range, `${bytes} bytes for shape [${shape.join(', ')}] of ${dtype}`)
  }
  return { dtype: dtype as Dtype, shape, begin, end }
}

/** JSON.parse keeps the last of two equal keys, so the keys of the outer object are read again. */
function findDuplicateKey(json: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g)) {
    if (text !== undefined) {
      if (depth !== 1 || colon === undefined) continue
      const key: string = JSON.parse(text)
      if (seen.has(key)) return key
      seen.add(key)
    } else {
      depth += token === '{' || token === '[' ? 1 : -1
    }
  }
  return undefined
}

/** Fills `into` from a position of the file. */
async function readAt(
  handle: FileHandle,
  offset: number,
  into: Uint8Array,
  path: string,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const wanted = Math.min(into.length - done, MAX_READ_BYTES)
    const { bytesRead } = await handle.read(into, done, wanted, offset + done).catch((error) => {
      throw readError(path, error)
    })
    if (bytesRead === 0) {
      throw new CheckpointError(path, `ended at byte ${offset + done} while it was being read`)
    }
    done += bytesRead
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0)
}
