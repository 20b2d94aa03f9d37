// One process fetches a file, the others wait for it: flock(2) on the files that Python's
// huggingface_hub locks too. It only saves the others a download, so that where it cannot be had
// (Windows, some network disks) all fetch: they write the same bytes to the same places.

import { open } from 'node:fs/promises'
import { openFlock } from '../flock.ts'

const POLL_MS = 100

/**
 * Locks a file until it is disposed of, or the process ends.
 * @param isWorthWaiting asked now and then while another process has the lock; if it says no, this
 *   one goes on without
 */
export async function lockFile(
  path: string,
  isWorthWaiting: () => Promise<boolean>,
): Promise<AsyncDisposable> {
  const flock = openFlock()
  const file = await open(path, 'a', 0o664)
  try {
    while (flock !== undefined && !flock(file)) {
      if (!(await isWorthWaiting())) break
      await Bun.sleep(POLL_MS)
    }
  } catch (error) {
    await file.close()
    throw error
  }
  return { [Symbol.asyncDispose]: () => file.close() }
}
