// Chromium for tests of the page: the system's, or the one of the package @sparticuz/chromium, which
// the software driver comes from, too. That one is unpacked once into the user's cache folder.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'
import { type Browser, chromium } from 'playwright-core'
import { cacheFolder } from '../../src/gpu/cache-folder.ts'
import { softwareDriverSupported, tarFiles } from '../../src/gpu/software.ts'

const FLAGS = [
  // Tests also run as root and in containers, and the only page is ours.
  ...['--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-quic'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

/** Whether there is a browser to be had. */
export function hasBrowser(): boolean {
  return Bun.which('chromium') !== null || packedFolder() !== undefined
}

/** Without a window, on a profile of its own that goes when it is closed. */
export async function openBrowser(): Promise<Browser> {
  const installed = Bun.which('chromium')
  if (installed) return await chromium.launch({ executablePath: installed, args: FLAGS })
  const folder = unpackBrowser()
  return await chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: FLAGS,
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(folder, 'lib'),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  })
}

/** Where the archives lie; undefined if there are none for this machine. */
function packedFolder(): string | undefined {
  if (!softwareDriverSupported()) return undefined
  try {
    const folder = join(dirname(Bun.resolveSync('@sparticuz/chromium', import.meta.dir)), '../bin')
    return existsSync(join(folder, 'chromium.br')) ? folder : undefined
  } catch {
    return undefined
  }
}

/** The browser, the libraries that not every system has, and a font. */
function unpackBrowser(): string {
  const packed = packedFolder()!
  const { version } = JSON.parse(readFileSync(join(packed, '../package.json'), 'utf8'))
  const folder = join(cacheFolder(), `chromium-${version}`)
  if (existsSync(folder)) return folder
  const partial = `${folder}.${process.pid}`
  const unpack = (name: string) => brotliDecompressSync(readFileSync(join(packed, name)))
  const write = (name: string, data: Uint8Array | string) => {
    mkdirSync(dirname(join(partial, name)), { recursive: true })
    writeFileSync(join(partial, name), data, { mode: 0o755 })
  }
  write('chromium', unpack('chromium.br'))
  for (const archive of ['al2023.tar.br', 'fonts.tar.br']) {
    for (const { name, data } of tarFiles(unpack(archive))) write(name, data)
  }
  // The one in the archive has the folders of another place.
  const fonts = `<dir>${folder}/fonts</dir><cachedir>${folder}/font-cache</cachedir>`
  write('fonts.conf', `<?xml version="1.0"?>\n<fontconfig>${fonts}</fontconfig>\n`)
  try {
    renameSync(partial, folder)
  } catch (error) {
    // Another process may have been first.
    rmSync(partial, { recursive: true })
    if (!existsSync(folder)) throw error
  }
  return folder
}
