// `glaze convert`: a softmax model becomes one of linear attention that only needs a finetune.

import { join, resolve } from 'node:path'
import type { ConvertOptions } from './config-convert.ts'
import {
  type Conversion,
  type ConversionSource,
  convertCheckpoint,
  refuseExisting,
} from './conversion/convert-checkpoint.ts'
import { RECORD_FILE } from './conversion/record.ts'
import { createLogger } from './log.ts'
import { bytes } from './serve/bytes.ts'
import { findModel } from './serve/model.ts'
import { Progress } from './serve/progress.ts'

/** Exit codes of a process that a signal ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 }

/** Converts, and says what to do next. Resolves to the exit code. Throws OperatorError. */
export async function convert(options: ConvertOptions): Promise<number> {
  // Before anything is downloaded.
  await refuseExisting(resolve(options.out))
  const source = await findSource(options)
  const started = performance.now()
  const progress = new Progress('converting')
  const abort = new AbortController()
  let code = 0
  for (const [signal, exitCode] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      code = exitCode
      abort.abort()
    })
  }
  try {
    const conversion = await convertCheckpoint(source, options, {
      signal: abort.signal,
      onProgress: (done, total) => progress.show(done, total),
    })
    progress.end()
    console.log(report(conversion, options, performance.now() - started))
    return 0
  } catch (error) {
    if (!abort.signal.aborted) throw error
    console.error('glaze: interrupted; nothing was kept')
    return code
  } finally {
    progress.end()
  }
}

async function findSource(options: ConvertOptions): Promise<ConversionSource> {
  const { revision, downloadDir } = options
  const log = createLogger({ level: 'info', format: 'auto' })
  const found = await findModel({ model: options.source, revision, downloadDir }, log)
  const { name, folder, commit } = found
  return { folder, label: commit === undefined ? resolve(folder) : `${name} at ${commit}` }
}

function report({ plan, bytes: written }: Conversion, options: ConvertOptions, ms: number): string {
  const out = resolve(options.out)
  const added = plan.tensors.filter(({ from }) => from === undefined).length
  const copied = plan.tensors.length - added
  const folder = quoted(out)
  return [
    `${out}: ${bytes(written)} in ${(ms / 1000).toFixed(1)} s; ` +
      `${copied} tensors copied, ${added} new, ${plan.dropped.length} left out`,
    ...plan.notes,
    '',
    'The new weights are random: this model writes noise until it is finetuned.',
    '',
    'Next steps',
    '  1. Finetune it. With flame (https://github.com/fla-org/flame), in its folder:',
    `       python -m flame.utils.convert_hf_to_dcp --model ${folder} --checkpoint exp/checkpoint/step-0`,
    '       bash train.sh --job.config_file flame/models/fla.toml --job.dump_folder exp \\',
    `         --model.config ${quoted(join(out, 'config.json'))} --model.tokenizer_path ${folder} \\`,
    '         --optimizer.lr 3e-5 --lr_scheduler.warmup_steps 1000 --checkpoint.load_step 0 ...',
    '     or with any trainer that takes AutoModelForCausalLM, after `import fla`.',
    `  2. In the folder of the finetuned model there must be no ${RECORD_FILE}, or one that says`,
    '     "finetuned": true; until then glaze warns.',
    `  3. Compare it with its teacher: glaze eval ${quoted(options.source)} ${folder}`,
    `  4. Serve it: glaze serve ${folder}`,
    "glaze's README has all of it: Why converting needs a finetune, and how to do it.",
  ].join('\n')
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
