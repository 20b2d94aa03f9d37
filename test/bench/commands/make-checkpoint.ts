// `bench make-checkpoint`: a checkpoint with the shape of a published model and random weights.
import { byteCount, text } from '../../../src/options.ts'
import { command, MODEL_OPTIONS } from '../options.ts'
import { writeRandomCheckpoint } from '../random-checkpoint.ts'
import { byteText } from '../report.ts'
import { SHAPES } from '../shapes.ts'

const OPTIONS = {
  shape: {
    ...MODEL_OPTIONS.shape,
    help: MODEL_OPTIONS.shape.help.replace(/^.*?\. /, 'Whose shape: '),
    type: MODEL_OPTIONS.shape.type.unwrap(),
    otherwise: undefined,
  },
  out: { help: 'Folder to write to.', value: 'DIR', expects: 'a folder', type: text },
  shardBytes: {
    help: 'Largest files.',
    value: 'BYTES',
    expects: 'an amount such as 5GB or 64MiB',
    type: byteCount(1),
    fallback: '5GB',
  },
}

export const makeCheckpoint = command(
  'writes bfloat16 shards with the shape of a published model and random weights',
  OPTIONS,
  async ({ shape, out, shardBytes }) => {
    const bytes = await writeRandomCheckpoint(out, SHAPES[shape], shardBytes)
    console.log(`${out}: ${byteText(bytes)} of weights in the shape of ${shape}`)
  },
)
