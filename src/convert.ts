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
import { onEndingSignals } from './serve/signals.ts'

/** Converts, and says what to do next. Resolves to the exit code. Throws OperatorError. */
export async function convert(options: ConvertOptions): Promise<number> {
  // Before anything is downloaded.
  await refuseExisting(resolve(options.out))
  const source = await findSource(options)
  const started = performance.now()
  const progress = new Progress('converting')
  const abort = new AbortController()
  let code = 0
  using _signals = onEndingSignals((exitCode) => {
    code = exitCode
    abort.abort()
  })
  try {
    const conversion = await convertCheckpoint(source, options, {
      signal: abort.signal,
      onProgress: (done, total) => progress.show(done, total),
    })
    progress.end()
    console.log(report(conversion, source, options, performance.now() - started))
    return 0
  } catch (error) {
    if (!abort.signal.aborted) throw error
    console.error('glaze: interrupted; nothing was kept')
    return code
  } finally {
    progress.end()
  }
}

interface FoundSource extends ConversionSource {
  /** What stands for it in the commands that come next, wherever they are typed. */
  name: string
}

async function findSource(options: ConvertOptions): Promise<FoundSource> {
  const { revision, downloadDir } = options
  const log = createLogger({ level: 'info', format: 'auto' })
  const found = await findModel({ model: options.source, revision, downloadDir }, log)
  const { name, folder, commit } = found
  const path = resolve(folder)
  return {
    folder,
    label: commit === undefined ? path : `${name} at ${commit}`,
    name: commit === undefined || revision !== undefined ? path : name,
  }
}

function report(
  { plan, bytes: written }: Conversion,
  source: FoundSource,
  options: ConvertOptions,
  ms: number,
): string {
  const out = resolve(options.out)
  const added = plan.tensors.filter(({ from }) => from === undefined).length
  const copied = plan.tensors.length - added
  return [
    `${out}: ${bytes(written)} in ${(ms / 1000).toFixed(1)} s; ` +
      `${copied} tensors copied, ${added} new, ${plan.dropped.length} left out`,
    ...plan.notes,
    '',
    'The new weights are random: this model writes noise until it is finetuned.',
    '',
    ...nextSteps(out, source, plan.source.unserved),
  ].join('\n')
}

/** From the new folder to a finetuned one that is served. */
function nextSteps(out: string, source: FoundSource, unserved: string | undefined): string[] {
  const folder = quoted(out)
  const config = quoted(join(out, 'config.json'))
  return [
    'Next steps',
    '  1. Finetune it. With flame (https://github.com/fla-org/flame), in the folder of that, into exp:',
    `       python -m flame.utils.convert_hf_to_dcp --model ${folder} --checkpoint exp/checkpoint/step-0`,
    '       bash train.sh --job.config_file flame/models/fla.toml --job.dump_folder exp \\',
    `         --model.config ${config} --model.tokenizer_path ${folder} \\`,
    '         --optimizer.lr 3e-5 --lr_scheduler.warmup_steps 1000 --checkpoint.load_step 0 ...',
    `       python -m flame.utils.convert_dcp_to_hf --path exp --step N --config ${config} --tokenizer ${folder}`,
    '     or with any trainer that takes AutoModelForCausalLM, after `import fla`.',
    ...(unserved === undefined
      ? [`  2. Compare the finetuned model with its teacher: glaze eval ${quoted(source.name)} exp`]
      : [
          '  2. Measure the finetuned model: glaze eval exp',
          `     Its teacher cannot run here: ${unserved}`,
        ]),
    '  3. Serve it: glaze serve exp',
    `     glaze warns of ${folder} itself, and of a copy of it that still has ${RECORD_FILE}`,
    '     unless that says "finetuned": true.',
    "glaze's README has all of it: Why converting needs a finetune, and how to do it.",
  ]
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
