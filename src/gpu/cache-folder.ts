// Where files are kept that only save time: unpacked drivers, what autotuning found.
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The user's cache folder for glaze, as the XDG base directory specification has it. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'glaze')
}
