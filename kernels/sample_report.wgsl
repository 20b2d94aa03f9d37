// Log-probabilities for sample.wgsl, of the raw logits in f32: of one token and of the best ones.

// Places in a row of results.
const LOGPROB = 2u;
const TOP_IDS = 4u;
const TOP_LOGPROBS = 24u;

// Writes the log-probability of `id` and the row's `top` best tokens with theirs; ids are NONE where
// the vocabulary has no more. Returns the flags of the result; writes nothing if there are any.
fn report(lane: Lane, row: SampleRow, id: u32, at: u32) -> u32 {
  var mine = raw_best(lane, row, Best(NONE, 0, 0, 0));
  var best = best_of_all(lane, mine);
  if (best.flags != 0 || (row.flags & LOGPROBS) == 0) {
    return best.flags;
  }
  let largest = raw_logit(row, best.id);
  let norm = log(sum_of_exp(lane, row, largest));
  if (lane.index == 0) {
    results[at + LOGPROB] = bitcast<u32>(raw_logit(row, id) - largest - norm);
  }
  for (var place = 0u; place < row.top; place++) {
    if (lane.index == 0) {
      results[at + TOP_IDS + place] = best.id;
      if (best.id != NONE) {
        results[at + TOP_LOGPROBS + place] = bitcast<u32>(raw_logit(row, best.id) - largest - norm);
      }
    }
    if (mine.id == best.id) {
      mine = raw_best(lane, row, best);
    }
    best = best_of_all(lane, mine);
  }
  return 0;
}

// The best-ranked of an invocation's tokens that rank after `last`, by raw logits.
fn raw_best(lane: Lane, row: SampleRow, last: Best) -> Best {
  var best = Best(0, NONE, NONE, 0);
  var largest_exponent = 0u;
  let ids = part_of(lane, 0, VOCABULARY);
  for (var id = ids.x; id < ids.y; id += lane.stride) {
    let l = raw_logit(row, id);
    largest_exponent = max(largest_exponent, exponent_of(l));
    let key = key_of(l);
    let is_left = key < last.key || (key == last.key && id > last.id);
    if (is_left && key > best.key) {
      best.key = key;
      best.id = id;
    }
  }
  best.flags = select(0, NOT_FINITE, largest_exponent == NOT_FINITE_EXPONENT);
  return best;
}

// The sum of exp(logit - largest), in an order that the vocabulary and the device fix.
fn sum_of_exp(lane: Lane, row: SampleRow, largest: f32) -> f32 {
  var sum = 0.0;
  let ids = part_of(lane, 0, VOCABULARY);
  for (var id = ids.x; id < ids.y; id += lane.stride) {
    sum += exp(raw_logit(row, id) - largest);
  }
#if VARIANT == subgroup
  sum = subgroupAdd(sum);
#endif
  if (lane.offset == 0) {
    parts[lane.part].x = bitcast<u32>(sum);
  }
  workgroupBarrier();
  var total = 0.0;
  for (var part = 0u; part < lane.parts; part++) {
    total += bitcast<f32>(parts[part].x);
  }
  workgroupBarrier();
  return total;
}
