// A Vulkan driver for machines without a GPU: SwiftShader, taken from the npm package
// @sparticuz/chromium (an optional dependency), which also holds a Vulkan loader. Nothing is
// installed on the system; the files are unpacked once into the user's cache folder.
import { dlopen, FFIType, ptr } from 'bun:ffi'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { DeviceError } from '../errors.ts'
import { cacheFolder } from './cache-folder.ts'

/** Name of the adapter that the driver brings. */
export const SOFTWARE_DRIVER = 'SwiftShader driver'

const LOADER = 'libvulkan.so.1'
const DRIVER = 'libvk_swiftshader.so'
const MANIFEST = 'vk_swiftshader_icd.json'

/** True where the packed driver can run at all. */
export function softwareDriverSupported(): boolean {
  return process.platform === 'linux' && process.arch === 'x64'
}

/**
 * Makes the software driver the process's Vulkan driver. Must run before Dawn makes its first
 * instance: Dawn opens the loader by its soname and so gets the one opened here.
 * @throws DeviceError if the platform or the package is missing.
 */
export function installSoftwareDriver(): void {
  if (!softwareDriverSupported()) {
    throw new DeviceError(
      `the software adapter needs Linux on x86-64, this is ${process.platform} on ${process.arch}`,
    )
  }
  const folder = unpackDriver()
  const libc = dlopen('libc.so.6', {
    setenv: { args: [FFIType.cstring, FFIType.cstring, FFIType.i32], returns: FFIType.i32 },
    dlopen: { args: [FFIType.cstring, FFIType.i32], returns: FFIType.ptr },
  })
  // Referenced to the end, so that nothing collects them before the calls return.
  const strings: Buffer[] = []
  const cString = (text: string) => {
    strings.push(Buffer.from(`${text}\0`))
    return ptr(strings.at(-1)!)
  }
  // The loader reads C's environment, which assignments to process.env do not reach.
  libc.symbols.setenv(cString('VK_DRIVER_FILES'), cString(join(folder, MANIFEST)), 1)
  const RTLD_NOW = 2
  if (!libc.symbols.dlopen(cString(join(folder, LOADER)), RTLD_NOW)) {
    throw new DeviceError(`${join(folder, LOADER)}: the Vulkan loader cannot be opened`)
  }
}

/**
 * Folder with loader, driver and manifest, unpacked if need be; two processes doing so at the same
 * time do no harm.
 */
export function unpackDriver(): string {
  const { archive, version } = findArchive()
  const folder = join(cacheFolder(), `swiftshader-${version}`)
  if (existsSync(join(folder, MANIFEST))) return folder
  const partial = `${folder}.${process.pid}`
  try {
    mkdirSync(partial, { recursive: true })
    const wanted = new Set([LOADER, DRIVER, MANIFEST])
    for (const file of tarFiles(brotliDecompressSync(readFileSync(archive)))) {
      if (wanted.has(file.name)) writeFileSync(join(partial, file.name), file.data, { mode: 0o755 })
    }
    if (!existsSync(join(partial, MANIFEST))) {
      throw new DeviceError(`${archive}: no ${MANIFEST} inside; is the package complete?`)
    }
    nameFolder(partial, folder)
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    // Another process may have finished the same folder first.
    if (existsSync(join(folder, MANIFEST))) return folder
    if (error instanceof DeviceError) throw error
    throw new DeviceError(`${folder}: the software driver cannot be unpacked: ${error}`)
  }
  return folder
}

/** Gives an unpacked folder its name. One that is whole already is in use: it is never removed. */
function nameFolder(partial: string, folder: string): void {
  try {
    renameSync(partial, folder)
  } catch (error) {
    if (existsSync(join(folder, MANIFEST))) throw error
    // What another version has left, or a disk that was full.
    rmSync(folder, { recursive: true, force: true })
    renameSync(partial, folder)
  }
}

function findArchive(): { archive: string; version: string } {
  try {
    const entry = Bun.resolveSync('@sparticuz/chromium', import.meta.dir)
    const root = entry.slice(0, entry.lastIndexOf('@sparticuz/chromium') + 19)
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const archive = join(root, 'bin', 'swiftshader.tar.br')
    if (existsSync(archive)) return { archive, version }
  } catch {
    // Falls through to the advice below.
  }
  throw new DeviceError(
    'no GPU was found and the software driver is not installed: ' +
      'install the optional package @sparticuz/chromium, or a Vulkan driver',
  )
}

/** Regular files of a ustar archive: 512-byte headers, name at 0, octal size at 124, type at 156. */
export function* tarFiles(tar: Uint8Array): Generator<{ name: string; data: Uint8Array }> {
  const text = (from: number, length: number) =>
    Buffer.from(tar.subarray(from, from + length))
      .toString('latin1')
      .replace(/\0[\s\S]*/, '')
  for (let at = 0; at + 512 <= tar.length; ) {
    const name = text(at, 100)
    const size = Number.parseInt(text(at + 124, 12), 8) || 0
    if (name !== '' && text(at + 156, 1) !== '5') {
      yield { name: name.replace(/^\.\//, ''), data: tar.subarray(at + 512, at + 512 + size) }
    }
    at += 512 + Math.ceil(size / 512) * 512
  }
}
