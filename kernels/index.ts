// Every kernel as text with the files it includes. Parameters, bindings and shapes stand at the head
// of each .wgsl file; src/gpu/ops has one typed call for each kernel.
import type { WgslSource } from '../src/gpu/wgsl.ts'
import attention from './attention.wgsl' with { type: 'text' }
import blocks from './blocks.wgsl' with { type: 'text' }
import chunkDecays from './chunk_decays.wgsl' with { type: 'text' }
import chunkGain from './chunk_gain.wgsl' with { type: 'text' }
import chunkGates from './chunk_gates.wgsl' with { type: 'text' }
import chunkOutput from './chunk_output.wgsl' with { type: 'text' }
import chunkScan from './chunk_scan.wgsl' with { type: 'text' }
import chunkScores from './chunk_scores.wgsl' with { type: 'text' }
import conv from './conv.wgsl' with { type: 'text' }
import decay from './decay.wgsl' with { type: 'text' }
import embed from './embed.wgsl' with { type: 'text' }
import features from './features.wgsl' with { type: 'text' }
import fewOutputs from './few_outputs.wgsl' with { type: 'text' }
import fixedPoint from './fixed_point.wgsl' with { type: 'text' }
import floatProduct from './float_product.wgsl' with { type: 'text' }
import float16 from './float16.wgsl' with { type: 'text' }
import glaStep from './gla_step.wgsl' with { type: 'text' }
import gsaStep from './gsa_step.wgsl' with { type: 'text' }
import intMatmul from './int_matmul.wgsl' with { type: 'text' }
import intMatmulTiled from './int_matmul_tiled.wgsl' with { type: 'text' }
import intMatvec from './int_matvec.wgsl' with { type: 'text' }
import intProduct from './int_product.wgsl' with { type: 'text' }
import int8 from './int8.wgsl' with { type: 'text' }
import kvAppend from './kv_append.wgsl' with { type: 'text' }
import lanes from './lanes.wgsl' with { type: 'text' }
import math from './math.wgsl' with { type: 'text' }
import matmul from './matmul.wgsl' with { type: 'text' }
import matmulMatrix from './matmul_matrix.wgsl' with { type: 'text' }
import matmulTiled from './matmul_tiled.wgsl' with { type: 'text' }
import matrixProbe from './matrix_probe.wgsl' with { type: 'text' }
import matrixUnits from './matrix_units.wgsl' with { type: 'text' }
import matvec from './matvec.wgsl' with { type: 'text' }
import noise from './noise.wgsl' with { type: 'text' }
import norm from './norm.wgsl' with { type: 'text' }
import prepare from './prepare.wgsl' with { type: 'text' }
import product from './product.wgsl' with { type: 'text' }
import quantize from './quantize.wgsl' with { type: 'text' }
import quantizeGroup from './quantize_group.wgsl' with { type: 'text' }
import recurrent from './recurrent.wgsl' with { type: 'text' }
import reduce from './reduce.wgsl' with { type: 'text' }
import repack from './repack.wgsl' with { type: 'text' }
import rootMeanSquare from './root_mean_square.wgsl' with { type: 'text' }
import rope from './rope.wgsl' with { type: 'text' }
import rows from './rows.wgsl' with { type: 'text' }
import sample from './sample.wgsl' with { type: 'text' }
import sampleCut from './sample_cut.wgsl' with { type: 'text' }
import sampleReport from './sample_report.wgsl' with { type: 'text' }
import slotSoftmax from './slot_softmax.wgsl' with { type: 'text' }
import step from './step.wgsl' with { type: 'text' }
import sweep from './sweep.wgsl' with { type: 'text' }
import tile from './tile.wgsl' with { type: 'text' }
import weights from './weights.wgsl' with { type: 'text' }

const includes = {
  'step.wgsl': step,
  'blocks.wgsl': blocks,
  'chunk_decays.wgsl': chunkDecays,
  'decay.wgsl': decay,
  'features.wgsl': features,
  'few_outputs.wgsl': fewOutputs,
  'fixed_point.wgsl': fixedPoint,
  'float16.wgsl': float16,
  'int8.wgsl': int8,
  'math.wgsl': math,
  'matrix_units.wgsl': matrixUnits,
  'quantize_group.wgsl': quantizeGroup,
  'reduce.wgsl': reduce,
  'root_mean_square.wgsl': rootMeanSquare,
  'rows.wgsl': rows,
  'sweep.wgsl': sweep,
  'weights.wgsl': weights,
  'product.wgsl': product,
  'float_product.wgsl': floatProduct,
  'int_product.wgsl': intProduct,
  'lanes.wgsl': lanes,
  'tile.wgsl': tile,
  'sample_cut.wgsl': sampleCut,
  'sample_report.wgsl': sampleReport,
}

const kernel = (name: string, text: string): WgslSource => ({
  name: `${name}.wgsl`,
  text,
  includes,
})

export const kernels = {
  norm: kernel('norm', norm),
  quantize: kernel('quantize', quantize),
  repack: kernel('repack', repack),
  noise: kernel('noise', noise),
  embed: kernel('embed', embed),
  matmul: kernel('matmul', matmul),
  matmulTiled: kernel('matmul_tiled', matmulTiled),
  matrixProbe: kernel('matrix_probe', matrixProbe),
  matmulMatrix: kernel('matmul_matrix', matmulMatrix),
  matvec: kernel('matvec', matvec),
  intMatmul: kernel('int_matmul', intMatmul),
  intMatmulTiled: kernel('int_matmul_tiled', intMatmulTiled),
  intMatvec: kernel('int_matvec', intMatvec),
  prepare: kernel('prepare', prepare),
  conv: kernel('conv', conv),
  recurrent: kernel('recurrent', recurrent),
  glaStep: kernel('gla_step', glaStep),
  gsaStep: kernel('gsa_step', gsaStep),
  chunkGates: kernel('chunk_gates', chunkGates),
  chunkGain: kernel('chunk_gain', chunkGain),
  chunkScan: kernel('chunk_scan', chunkScan),
  chunkScores: kernel('chunk_scores', chunkScores),
  chunkOutput: kernel('chunk_output', chunkOutput),
  slotSoftmax: kernel('slot_softmax', slotSoftmax),
  rope: kernel('rope', rope),
  attention: kernel('attention', attention),
  kvAppend: kernel('kv_append', kvAppend),
  sample: kernel('sample', sample),
} as const
