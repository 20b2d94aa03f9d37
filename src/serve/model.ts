// The model that a command is to work with, on this machine at the end.

import { join } from 'node:path'
import { version } from '../../package.json'
import { untrainedWarning } from '../conversion/record.ts'
import { type ResolvedModel, resolveModel } from '../hub/resolve-model.ts'
import { readHubSettings } from '../hub/settings.ts'
import type { Logger } from '../log.ts'
import { Progress } from './progress.ts'

/** The model that is taken if none is named. */
export const EMBEDDED_MODEL = join(import.meta.dir, '../../models/checkpoints/tales-gla-5m')

export interface ModelOptions {
  /** Folder or repository. */
  model?: string
  revision?: string
  downloadDir?: string
  randomWeights?: boolean
}

/**
 * Finds the files of a model, downloading those that are wanted and not there.
 * Throws OperatorError if they cannot be had.
 */
export async function findModel(options: ModelOptions, log: Logger): Promise<ResolvedModel> {
  const { model = EMBEDDED_MODEL, revision, downloadDir, randomWeights } = options
  const settings = await readHubSettings(process.env, downloadDir)
  const progress = new Progress('downloading')
  try {
    const resolved = await resolveModel(model, {
      ...{ revision, withoutWeights: randomWeights },
      hub: {
        ...{ ...settings, version },
        onRetry: (reason, waitMs) => log.warn('the download is tried again', { reason, waitMs }),
      },
      onProgress: (done, total) => progress.show(done, total),
      onWarning: (message, reason) => log.warn(message, { reason }),
    })
    const warning = await untrainedWarning(resolved.folder)
    if (warning !== undefined) log.warn(warning)
    return resolved
  } finally {
    progress.end()
  }
}
