// One step's work list as src/gpu/step.ts uploads it.

struct Counts {
  tokens: u32,      // rows of the packed token axis
  decodes: u32,     // segments 0 … decodes-1 hold one token each and are tokens 0 … decodes-1
  segments: u32,
  chunks: u32,
  logit_rows: u32,
  samples: u32,
}

// A run of consecutive tokens of one sequence.
struct Segment {
  slot: u32,         // row of the state pool
  first: u32,        // its first token on the packed axis
  length: u32,       // tokens
  position: u32,     // tokens of the sequence that earlier steps have seen
  first_chunk: u32,  // its first entry in the chunk table; none for decodes
}

// At most 64 consecutive tokens of one prompt segment; ends at a multiple of 64 of the sequence or
// with the segment.
struct Chunk {
  segment: u32,
  first: u32,   // its first token on the packed axis
  length: u32,  // tokens
  pad: u32,
}

// What is done with one row of logits.
struct SampleRow {
  logit_row: u32,           // row of the step's logits
  slot: u32,                // row of bias, masks, history and sampled
  flags: u32,               // which of these fields count: kernels/sample.wgsl
  top: u32,                 // best tokens to report
  target_id: u32,           // the token to score
  scale: f32,               // log2(e) / temperature
  top_k: u32,               // 0 is off
  top_p: u32,               // in 65536ths; 65536 is off
  min_weight: u32,          // where the best token has 2^30; 0 is off
  random: u32,
  repetition: f32,
  inverse_repetition: f32,
  presence: f32,
  frequency: f32,
  pad: vec2<u32>,
}
