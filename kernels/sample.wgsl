// Draws or scores one token for each sample row; src/engine/sampler.ts defines what is drawn. Past
// the adjusted logits all is done in integers, whose sums do not depend on their order: the same
// logits and random bits give the same token on every device and in every batch.
// One row a workgroup. The vocabulary is cut into parts, runs of ids: one for each subgroup, whose
// lanes stride through it, or one for each invocation (plain variant).
#include "step.wgsl"
#include "fixed_point.wgsl"
#include "sample_cut.wgsl"
#include "sample_report.wgsl"
#param VARIANT: subgroup | plain
#param WORKGROUP: u32     // two parts at least: narrowing a range of ids by its parts must end
#param VOCABULARY: u32    // up to 2^18, so that sums of weights stay within 2^48

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> samples: array<SampleRow>;
@group(0) @binding(2) var<storage, read> logits: array<f32>;          // [logit rows, VOCABULARY]
@group(0) @binding(3) var<storage, read> bias: array<f32>;            // [slots, VOCABULARY]
@group(0) @binding(4) var<storage, read> masks: array<u32>;           // [slots, MASK_WORDS]
@group(0) @binding(5) var<storage, read_write> history: array<u32>;   // [slots, VOCABULARY]
@group(0) @binding(6) var<storage, read_write> sampled: array<u32>;   // [slots]
@group(0) @binding(7) var<storage, read_write> results: array<u32>;   // [samples, RESULT_WORDS]

const MASK_WORDS = (VOCABULARY + 31) / 32;
const RESULT_WORDS = 44u;
const NONE = 0xffffffffu;
const NOT_FINITE_EXPONENT = 0x7f800000u;
const LEAST_FINITE_KEY = 0x00800000u;

// Flags of a sample row.
const SCORE = 1u;
const GREEDY = 2u;
const LOGPROBS = 4u;
const BIAS = 8u;
const MASK = 16u;
const PENALTIES = 32u;

// Flags of a result.
const NOT_FINITE = 1u;
const NOTHING_ALLOWED = 2u;

#if VARIANT == subgroup
enable subgroups;
const PARTS = WORKGROUP / 4;
#else
const PARTS = WORKGROUP;
#endif

// An invocation's place: it looks at the ids of its part from `offset` on by `stride`.
struct Lane {
  index: u32,
  part: u32,
  parts: u32,
  offset: u32,
  stride: u32,
}

// The best-ranked of some tokens and what else one look at them tells.
struct Best {
  key: u32,         // 0: none of them takes part
  id: u32,
  least_key: u32,   // 0 if some take no part
  flags: u32,       // NOT_FINITE
}

struct Token {
  logit: f32,         // adjusted
  takes_part: bool,   // its mask allows it
}

struct Choice {
  id: u32,
  kept: u32,   // tokens that it was drawn from
}

var<workgroup> parts: array<vec4<u32>, PARTS>;
var<workgroup> winner: Best;

#if VARIANT == subgroup
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) index: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  let lane = Lane(index, index / subgroup_size, WORKGROUP / subgroup_size, index % subgroup_size,
                  subgroup_size);
#else
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
  let lane = Lane(index, index, WORKGROUP, 0, 1);
#endif
  let sample = group.y * groups.x + group.x;
  if (sample >= counts.samples) {
    return;
  }
  let row = samples[sample];
  var choice = Choice(row.target_id, 0);
  var flags = 0u;
  if ((row.flags & SCORE) == 0) {
    var mine: Best;
    if (changes_logits(row)) {
      mine = survey(lane, row, true);
    } else {
      mine = survey(lane, row, false);
    }
    let best = best_of_all(lane, mine);
    flags = best.flags | select(0, NOTHING_ALLOWED, best.key == 0);
    choice = Choice(best.id, 1);
    if (flags != 0) {
      choice = Choice(0, 0);
    } else if ((row.flags & GREEDY) == 0) {
      choice = draw(lane, row, best);
    }
    if (index == 0) {
      sampled[row.slot] = choice.id;
      if (flags == 0 && (row.flags & PENALTIES) != 0) {
        history[row.slot * VOCABULARY + choice.id]++;
      }
    }
  }
  if (flags == 0 && (row.flags & (SCORE | LOGPROBS)) != 0) {
    flags = report(lane, row, choice.id, sample * RESULT_WORDS);
  }
  if (index == 0) {
    results[sample * RESULT_WORDS] = choice.id;
    results[sample * RESULT_WORDS + 1] = flags;
    results[sample * RESULT_WORDS + 3] = choice.kept;
  }
}

// The ids from x up to y that an invocation looks at when ids from `begin` up to `end` are cut.
fn part_of(lane: Lane, begin: u32, end: u32) -> vec2<u32> {
  let length = (end - begin + lane.parts - 1) / lane.parts;
  let first = min(begin + lane.part * length, end);
  return vec2(first + lane.offset, min(first + length, end));
}

// The adjusted logits of an invocation's tokens.
fn survey(lane: Lane, row: SampleRow, is_changed: bool) -> Best {
  var best = Best(0, NONE, NONE, 0);
  var largest_exponent = 0u;
  let ids = part_of(lane, 0, VOCABULARY);
  for (var id = ids.x; id < ids.y; id += lane.stride) {
    let raw = raw_logit(row, id);
    largest_exponent = max(largest_exponent, exponent_of(raw));
    let token = token_of(row, id, raw, is_changed);
    let key = select(0, key_of(token.logit), token.takes_part);
    best.least_key = min(best.least_key, key);
    best.id = select(best.id, id, key > best.key);
    best.key = max(best.key, key);
  }
  best.flags = select(0, NOT_FINITE, largest_exponent == NOT_FINITE_EXPONENT);
  return best;
}

fn changes_logits(row: SampleRow) -> bool {
  return (row.flags & (BIAS | MASK | PENALTIES)) != 0;
}

fn raw_logit(row: SampleRow, id: u32) -> f32 {
  return logits[row.logit_row * VOCABULARY + id];
}

fn exponent_of(x: f32) -> u32 {
  return bitcast<u32>(x) & NOT_FINITE_EXPONENT;
}

// A token with its logit adjusted. Loops over tokens get `is_changed` as a constant, one loop for
// each value, so that rows that change nothing pay nothing: a branch in each turn doubles the time
// of a greedy row on SwiftShader (2026-11).
fn token_of(row: SampleRow, id: u32, raw: f32, is_changed: bool) -> Token {
  var token = Token(raw, true);
  if (is_changed) {
    token.logit = adjusted(row, id, raw);
    if ((row.flags & MASK) != 0) {
      token.takes_part = ((masks[row.slot * MASK_WORDS + id / 32] >> (id % 32)) & 1) != 0;
    }
  }
  return token;
}

fn adjusted(row: SampleRow, id: u32, raw: f32) -> f32 {
  var l = raw;
  if ((row.flags & BIAS) != 0) {
    l += bias[row.slot * VOCABULARY + id];
  }
  if ((row.flags & PENALTIES) != 0) {
    let seen = history[row.slot * VOCABULARY + id];
    let count = seen & 0x7fffffff;
    l *= select(1, select(row.repetition, row.inverse_repetition, l > 0), seen != 0);
    l -= select(0, row.presence + row.frequency * f32(count), count != 0);
  }
  const LARGEST = 0x1.fffffep+127f;
  return clamp(l, -LARGEST, LARGEST);
}

// Rises with the number; above 0. Numbers below 2^-126, which some devices flush, are all 0.
fn key_of(x: f32) -> u32 {
  let raw = bitcast<u32>(x);
  let bits = select(raw, 0, exponent_of(x) == 0);
  return bits ^ select(0x80000000, NONE, bits >= 0x80000000);
}

fn number_of(key: u32) -> f32 {
  return bitcast<f32>(key ^ select(NONE, 0x80000000, key >= 0x80000000));
}

// How far a logit is below the best, log2 of the ratio of weights, in 65536ths.
fn deficit_of(row: SampleRow, best: Best, logit: f32) -> u32 {
  let x = (number_of(best.key) - logit) * row.scale;
  return min(u32(min(x, 31) * 65536), NO_WEIGHT);
}

// The better-ranked of two, and the rest of both.
fn merged(a: Best, b: Best) -> Best {
  let b_ranks_first = b.key > a.key || (b.key == a.key && b.id < a.id);
  return Best(select(a.key, b.key, b_ranks_first), select(a.id, b.id, b_ranks_first),
              min(a.least_key, b.least_key), a.flags | b.flags);
}

// Merges those of all invocations; the same for each of them.
fn best_of_all(lane: Lane, mine: Best) -> Best {
  var best = mine;
#if VARIANT == subgroup
  best.key = subgroupMax(mine.key);
  best.id = subgroupMin(select(NONE, mine.id, mine.key == best.key));
  best.least_key = subgroupMin(mine.least_key);
  best.flags = subgroupMax(mine.flags);
#endif
  if (lane.offset == 0) {
    parts[lane.part] = vec4(best.key, best.id, best.least_key, best.flags);
  }
  workgroupBarrier();
  if (lane.index == 0) {
    for (var part = 1u; part < lane.parts; part++) {
      let other = parts[part];
      best = merged(best, Best(other.x, other.y, other.z, other.w));
    }
    winner = best;
  }
  return workgroupUniformLoad(&winner);
}
