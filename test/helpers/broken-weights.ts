// Weight files and tensors that must be refused.

import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  readTensors,
  type Tensors,
  writeJson,
  writeRawSafetensors,
  writeSafetensors,
  writeShards,
} from './checkpoints.ts'
import { type BrokenCheckpoint, changed, damaged, WEIGHTS } from './damage.ts'

const INDEX = 'model.safetensors.index.json'
const Q = 'model.layers.0.attn.q_proj.weight'
const SHARD_1 = 'model-00001-of-00002.safetensors'
const SHARD_2 = 'model-00002-of-00002.safetensors'

const A = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
const B = '"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}'

/** Header text and data of a file whose tensors `a` (8 bytes) and `b` (4 bytes) are to be broken. */
function header(name: string, message: RegExp, text: string, dataBytes = 12): BrokenCheckpoint {
  return damaged(name, message, (folder) =>
    writeRawSafetensors(join(folder, WEIGHTS), text, new Uint8Array(dataBytes)),
  )
}

/** A sound checkpoint in two shards, then `damage` done to it. */
function sharded(
  name: string,
  message: RegExp,
  damage: (
    folder: string,
    index: { weight_map: Record<string, string> },
    tensors: Tensors,
  ) => Promise<unknown>,
): BrokenCheckpoint {
  return damaged(name, message, async (folder) => {
    const tensors = await readTensors(folder)
    const index = await writeShards(folder, tensors, 2)
    await rm(join(folder, WEIGHTS))
    await damage(folder, index, tensors)
    await writeJson(join(folder, INDEX), index)
  })
}

export const brokenFiles: BrokenCheckpoint[] = [
  damaged('an empty weight file', /model\.safetensors: has 0 bytes/, (folder) =>
    writeFile(join(folder, WEIGHTS), ''),
  ),
  damaged(
    'an absurd header length',
    /header length: found 9007199254740992; allowed: at most/,
    (f) => writeRawSafetensors(join(f, WEIGHTS), `{${A},${B}}`, new Uint8Array(12), 2 ** 53),
  ),
  damaged('a Git LFS pointer', /model\.safetensors: is a Git LFS pointer/, (folder) =>
    writeFile(join(folder, WEIGHTS), 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
  ),
  damaged('a truncated weight file', /tensor model\..* run past the end .* truncated/, (folder) =>
    truncate(join(folder, WEIGHTS), 200_000),
  ),
  header('a header that is not JSON', /model\.safetensors: the header is not JSON/, '{"a":'),
  header('a header that is a list', /the header is not a JSON object/, '[1, 2]'),
  header(
    'integer weights',
    /tensor b: dtype: found "I64"; allowed: F32, F16, BF16/,
    `{${A},${B.replace('F32', 'I64')}}`,
  ),
  header(
    'a negative size',
    /tensor b: shape: found \[-1\]; allowed/,
    `{${A},${B.replace('[1]', '[-1]')}}`,
  ),
  header(
    'offsets that go down',
    /tensor b: data_offsets: found \[12,8\]/,
    `{${A},${B.replace('[8,12]', '[12,8]')}}`,
  ),
  header(
    'a size that does not fit the shape',
    /tensor b: data_offsets: found \[8,12\]; allowed: 12 bytes for shape \[3\] of F32/,
    `{${A},${B.replace('[1]', '[3]')}}`,
  ),
  header(
    'overlapping tensors',
    /tensor b: bytes 4 to 8 overlap tensor a/,
    `{${A},${B.replace('[8,12]', '[4,8]')}}`,
    8,
  ),
  header(
    'a gap between tensors',
    /tensor b: bytes 12 to 16 leave a gap after tensor a/,
    `{${A},${B.replace('[8,12]', '[12,16]')}}`,
    16,
  ),
  header(
    'an offset past the end',
    /tensor b: bytes 1000 to 1004 run past the end/,
    `{${A},${B.replace('[8,12]', '[1000,1004]')}}`,
  ),
  header('bytes of no tensor', /5 bytes after tensor b belong to no tensor/, `{${A},${B}}`, 17),
  header('two tensors of one name', /tensor a is in the header twice/, `{${A},${B},${A}}`),
  sharded('a missing shard', /index\.json: lists the shard .*00002.*, which is missing/, (folder) =>
    rm(join(folder, SHARD_2)),
  ),
  sharded(
    'a shard outside the folder',
    /weight_map\..*found "\.\.\/x\.safetensors"/,
    async (_, index) => {
      index.weight_map[Q] = '../x.safetensors'
    },
  ),
  sharded(
    'a tensor in the wrong shard',
    /tensor model\..*: found in .*, but listed for/,
    async (_, index) => {
      index.weight_map[Q] = index.weight_map[Q] === SHARD_1 ? SHARD_2 : SHARD_1
    },
  ),
  sharded(
    'a tensor in two shards',
    /00002.*: tensor model\.\S+ is in .*00001.* as well/,
    async (folder, _, tensors) => {
      await writeSafetensors(join(folder, SHARD_1), tensors)
    },
  ),
  sharded(
    'a tensor missing from the index',
    /tensor .*q_proj\.weight is not listed in/,
    async (_, index) => {
      delete index.weight_map[Q]
    },
  ),
  sharded('a tensor missing from its shard', /tensor ghost is not in .*00001/, async (_, index) => {
    index.weight_map.ghost = SHARD_1
  }),
  sharded(
    'shards beside a whole file',
    /has both model\.safetensors and .*index/,
    (folder, _, tensors) => writeSafetensors(join(folder, WEIGHTS), tensors),
  ),
]

/** Changes one number of a tensor. */
function poison(name: string, message: RegExp, value: number, dtype = 'F32'): BrokenCheckpoint {
  return changed(name, message, {
    tensors(tensors) {
      const data = new Float32Array(32 * 32)
      data[37] = value
      tensors[Q] = { dtype, shape: [32, 32], data }
    },
  })
}

/** A tensor that a checkpoint of this kind must not have. */
function surplus(
  name: string,
  message: RegExp,
  tensor: string,
  shape: number[],
  kind: 'gla' | 'gsa' = 'gla',
): BrokenCheckpoint {
  return changed(name, message, {
    kind,
    tensors(tensors) {
      const size = shape.reduce((product, n) => product * n, 1)
      tensors[tensor] = { dtype: 'F16', shape, data: new Float32Array(size) }
    },
  })
}

/** The shape of a tensor replaced by one of another size. */
function reshaped(name: string, message: RegExp, tensor: string, shape: number[]) {
  return surplus(name, message, tensor, shape)
}

export const brokenTensors: BrokenCheckpoint[] = [
  changed(
    'a missing tensor',
    /model\.safetensors: has no tensor model\.layers\.1\.mlp_norm\.weight \(nor model\.layers\.1\.mlp\.norm\.weight\)/,
    {
      tensors: (tensors) => delete tensors['model.layers.1.mlp_norm.weight'],
    },
  ),
  changed('a layer too few', /has no tensor model\.layers\.2\.attn_norm\.weight/, {
    config: { num_hidden_layers: 3 },
  }),
  changed(
    'a layer too many',
    /tensor model\.layers\.1\.\S+ \(and 12 more\) is not used .* num_hidden_layers 1/,
    {
      config: { num_hidden_layers: 1 },
    },
  ),
  changed('no head and no tie', /has no tensor lm_head\.weight; expected with shape \[4096, 32\]/, {
    config: { tie_word_embeddings: false },
  }),
  changed(
    'another vocabulary',
    /embeddings\.weight: found shape \[4096, 32\]; allowed: \[5000, 32\]/,
    {
      config: { vocab_size: 5000 },
    },
  ),
  changed(
    'an output gate without weights',
    /has no tensor model\.layers\.0\.attn\.g_proj\.weight/,
    {
      config: { use_output_gate: true },
    },
  ),
  changed(
    'a norm that should have no weights',
    /g_norm\.weight \(and 1 more\) is not used .* elementwise_affine/,
    {
      config: { elementwise_affine: false },
    },
  ),
  changed(
    'a GSA configuration on GLA weights',
    /has no tensor model\.layers\.0\.attn\.f_proj\.weight/,
    {
      config: { model_type: 'gsa' },
    },
  ),
  reshaped(
    'a matrix of the wrong shape',
    /tensor .*q_proj\.weight: found shape \[32, 16\]; allowed: \[32, 32\]/,
    Q,
    [32, 16],
  ),
  reshaped(
    'a vector where a matrix belongs',
    /tensor .*q_proj\.weight: found shape \[1024\]; allowed/,
    Q,
    [1024],
  ),
  reshaped(
    'gates for no number of heads',
    /gk_proj\.1\.weight: found shape \[24, 16\]; allowed: \[16, 16\]/,
    'model.layers.0.attn.gk_proj.1.weight',
    [24, 16],
  ),
  surplus(
    'an unknown tensor',
    /tensor model\.layers\.0\.mystery is not used by this gla model/,
    'model.layers.0.mystery',
    [3],
  ),
  surplus(
    'a convolution that is not configured',
    /q_conv1d\.weight is not used .* use_short_conv/,
    'model.layers.0.attn.q_conv1d.weight',
    [32, 1, 4],
  ),
  surplus(
    'one convolution for all',
    /h_conv1d\.weight: one convolution .* not supported/,
    'model.layers.0.attn.h_conv1d.weight',
    [32, 1, 4],
  ),
  surplus(
    'an output gate in GSA',
    /g_proj\.weight: GSA layers with an output gate .* not supported/,
    'model.layers.0.attn.g_proj.weight',
    [32, 32],
    'gsa',
  ),
  surplus(
    'one tensor under two names',
    /tensors model\.norm\.weight and norm\.weight are the same/,
    'norm.weight',
    [32],
  ),
  poison(
    'NaN among the weights',
    /q_proj\.weight, element 37: found NaN; weights must be finite/,
    Number.NaN,
  ),
  poison(
    'infinity among the weights',
    /q_proj\.weight, element 37: found -Infinity/,
    -Infinity,
    'F16',
  ),
  poison(
    'a weight too large for float16',
    /element 37: 100000 does not fit in float16 .* --dtype float32/,
    1e5,
  ),
]
