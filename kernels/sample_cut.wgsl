// The filters of sample.wgsl and its draw, in up to three rounds. Top-k and top-p each keep a prefix
// of the ranking: everything up to one token, the cut. It is found without sorting: tokens are
// counted and weighed into bins, by deficit first and, where deficits tie, by key; the bin that the
// cut lies in is cut into bins again. What ties to the end, and what is drawn, is found by sums
// over ids.

const BINS = 64u;

// Rounds.
const TOP_K = 0u;
const TOP_P = 1u;
const DRAW = 2u;

// The last-ranked token that is kept.
struct Cut {
  deficit: u32,
  gap: u32,             // how far its key is below the best
  id: u32,
}

// Stages of a search.
const DEFICITS = 0u;
const GAPS = 1u;        // of tokens of the cut's deficit
const IDS = 2u;         // of tokens of the cut's gap
const FOUND = 3u;

struct Search {
  stage: u32,
  low: u32,             // the cut's deficit or gap lies from here …
  high: u32,            // … to here
  count: u32,           // tokens that rank before these
  weight: vec2<u32>,    // and their weight
  wanted: vec2<u32>,    // count (x) or weight that the kept tokens reach; 0: not known yet
  cut: Cut,
}

// Ids from begin up to end, among them the first where a running sum exceeds the point.
struct Span {
  begin: u32,
  end: u32,
  point: vec2<u32>,
  count: u32,           // tokens that the sum over all ids is made of
}

var<workgroup> search: Search;
var<workgroup> span: Span;
var<workgroup> bin_count: array<atomic<u32>, BINS>;
var<workgroup> bin_low: array<atomic<u32>, BINS>;
var<workgroup> bin_high: array<atomic<u32>, BINS>;

// The rounds share one loop: drivers that inline all functions compile the body once.
fn draw(lane: Lane, row: SampleRow, best: Best) -> Choice {
  let none = vec2(0u);
  var at = Search(FOUND, 0, 0, 0, none, none, Cut(NO_WEIGHT - 1, NONE, NONE));
  var drawn = Span(0, 0, none, 0);
  for (var round = TOP_K; round <= DRAW; round++) {
    if ((round == TOP_K && row.top_k == 0) || (round == TOP_P && row.top_p == 65536)) {
      continue;
    }
    if (round != DRAW) {
      let wanted = select(vec2(row.top_k, 0), share_of(at.weight, row.top_p), round == TOP_P);
      at = find_cut(lane, row, best, round, Search(DEFICITS, 0, 0, 0, none, wanted, at.cut));
    }
    if (round == DRAW || at.stage == IDS) {
      drawn = find_id(lane, row, best, round, at);
    }
    if (at.stage == IDS) {
      at.stage = FOUND;
      at.cut.id = drawn.begin;
      if (round == TOP_K) {
        at.weight = add64(at.weight, product64(weight_of(at.cut.deficit), row.top_k - at.count));
      }
    }
  }
  return Choice(drawn.begin, drawn.count);
}

// Finds the fewest best-ranked tokens that reach what is wanted, but for ids that tie; the cut stays
// as it is where all tokens do not reach it.
fn find_cut(lane: Lane, row: SampleRow, best: Best, round: u32, start: Search) -> Search {
  if (lane.index == 0) {
    search = start;
    let least = number_of(max(best.least_key, LEAST_FINITE_KEY));
    search.high = min(start.cut.deficit, deficit_of(row, best, least));
  }
  var at = workgroupUniformLoad(&search);
  while (at.stage < IDS) {
    for (var bin = lane.index; bin < BINS; bin += WORKGROUP) {
      atomicStore(&bin_count[bin], 0);
      atomicStore(&bin_low[bin], 0);
      atomicStore(&bin_high[bin], 0);
    }
    workgroupBarrier();
    if (changes_logits(row)) {
      fill_bins(lane, row, best, at, true);
    } else {
      fill_bins(lane, row, best, at, false);
    }
    workgroupBarrier();
    if (lane.index == 0) {
      search = narrowed(row, best, round, at);
    }
    at = workgroupUniformLoad(&search);
  }
  return at;
}

// A bin holds 2^shift deficits or gaps.
fn bin_shift(at: Search) -> u32 {
  let bits = 32 - countLeadingZeros(at.high - at.low);
  return max(bits, firstTrailingBit(BINS)) - firstTrailingBit(BINS);
}

fn fill_bins(lane: Lane, row: SampleRow, best: Best, at: Search, is_changed: bool) {
  let shift = bin_shift(at);
  let ids = part_of(lane, 0, VOCABULARY);
  for (var id = ids.x; id < ids.y; id += lane.stride) {
    let token = token_of(row, id, raw_logit(row, id), is_changed);
    let deficit = deficit_of(row, best, token.logit);
    let gap = select(NONE, best.key - key_of(token.logit), deficit == at.cut.deficit);
    let place = select(deficit, gap, at.stage == GAPS);
    if (place >= at.low && place <= at.high && token.takes_part) {
      let bin = (place - at.low) >> shift;
      let weight = weight_of(deficit);
      atomicAdd(&bin_count[bin], 1);
      if (atomicAdd(&bin_low[bin], weight) > NONE - weight) {
        atomicAdd(&bin_high[bin], 1);
      }
    }
  }
}

fn bin_weight(bin: u32) -> vec2<u32> {
  return vec2(atomicLoad(&bin_low[bin]), atomicLoad(&bin_high[bin]));
}

// The search inside the bin that the cut lies in, or its end.
fn narrowed(row: SampleRow, best: Best, round: u32, at: Search) -> Search {
  var next = at;
  if (all(at.wanted == vec2(0))) {
    var total = vec2(0u);
    for (var bin = 0u; bin < BINS; bin++) {
      total = add64(total, bin_weight(bin));
    }
    next.wanted = share_of(total, row.top_p);
  }
  for (var bin = 0u; bin < BINS; bin++) {
    let count = next.count + atomicLoad(&bin_count[bin]);
    let weight = add64(next.weight, bin_weight(bin));
    let reaches = select(count >= next.wanted.x, !less64(weight, next.wanted), round == TOP_P);
    if (!reaches) {
      next.count = count;
      next.weight = weight;
      continue;
    }
    let shift = bin_shift(at);
    next.low = at.low + (bin << shift);
    next.high = min(at.high, next.low + (1u << shift) - 1);
    let is_kept_whole = count == next.count + 1 || (round == TOP_K && count == next.wanted.x);
    if (is_kept_whole || next.low == next.high) {
      if (at.stage == DEFICITS) {
        next.cut = Cut(next.high, NONE, NONE);
      } else {
        next.cut.gap = next.high;
      }
      next.stage = select(at.stage + 1, FOUND, is_kept_whole);
    }
    if (is_kept_whole) {
      next.count = count;
      next.weight = weight;
    } else if (next.stage != at.stage) {
      next.low = 0;
      next.high = best.key - best.least_key;
    }
    return next;
  }
  next.stage = FOUND;
  return next;
}

// Finds the tied token with which enough is kept, or the one that is drawn. The ids are cut into
// parts, and the part where the running sum exceeds the point into parts again.
fn find_id(lane: Lane, row: SampleRow, best: Best, round: u32, search: Search) -> Span {
  if (lane.index == 0) {
    // Of tied tokens: what is still missing, less one.
    let reached = select(vec2(search.count, 0), search.weight, round == TOP_P);
    let point = subtract64(search.wanted, add64(reached, vec2(1, 0)));
    span = Span(0, VOCABULARY, point, 0);
  }
  var at = workgroupUniformLoad(&span);
  var is_first = true;
  while (is_first || at.end - at.begin > 1) {
    if (changes_logits(row)) {
      sum_parts(lane, row, best, round, search.cut, at, true);
    } else {
      sum_parts(lane, row, best, round, search.cut, at, false);
    }
    workgroupBarrier();
    if (lane.index == 0) {
      if (is_first) {
        var total = vec2(0u);
        for (var part = 0u; part < lane.parts; part++) {
          total = add64(total, parts[part].xy);
          at.count += parts[part].z;
        }
        if (round == DRAW) {
          at.point = point_in(total, row.random);
        }
      }
      span = part_holding(lane, at);
    }
    at = workgroupUniformLoad(&span);
    is_first = false;
  }
  return at;
}

// Puts the sum over each part of the span, and the count of its tokens, into `parts`.
fn sum_parts(lane: Lane, row: SampleRow, best: Best, round: u32, cut: Cut, at: Span,
             is_changed: bool) {
  var sum = vec2(0u);
  var count = 0u;
  let ids = part_of(lane, at.begin, at.end);
  for (var id = ids.x; id < ids.y; id += lane.stride) {
    let token = token_of(row, id, raw_logit(row, id), is_changed);
    let deficit = deficit_of(row, best, token.logit);
    let gap = best.key - key_of(token.logit);
    let is_tied = gap == cut.gap;
    let is_kept = deficit <= cut.deficit && (gap < cut.gap || (is_tied && id <= cut.id));
    if (token.takes_part && select(is_tied, is_kept, round == DRAW)) {
      let weight = weight_of(deficit);
      let is_enough = round != DRAW || weight >= row.min_weight;
      sum = add64(sum, vec2(select(select(0, weight, is_enough), 1, round == TOP_K), 0));
      count += u32(is_enough);
    }
  }
#if VARIANT == subgroup
  // In halves, so that nothing is carried in the subgroup's sums.
  let halves = vec2(subgroupAdd(sum.x & 0xffff), subgroupAdd(sum.x >> 16));
  sum = add64(vec2(halves.x, subgroupAdd(sum.y)), vec2(halves.y << 16, halves.y >> 16));
  count = subgroupAdd(count);
#endif
  if (lane.offset == 0) {
    parts[lane.part] = vec4(sum, count, 0);
  }
}

// The part of the span where its point lies.
fn part_holding(lane: Lane, at: Span) -> Span {
  let length = (at.end - at.begin + lane.parts - 1) / lane.parts;
  var point = at.point;
  var begin = at.begin;
  for (var part = 0u; part < lane.parts; part++) {
    let sum = parts[part].xy;
    if (less64(point, sum)) {
      break;
    }
    point = subtract64(point, sum);
    begin += length;
  }
  // Never past the end: if sums were wrong, the loop that calls this would hang the device.
  begin = min(begin, at.end - 1);
  return Span(begin, min(begin + length, at.end), point, at.count);
}
