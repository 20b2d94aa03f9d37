// One step's work list as src/gpu/step.ts uploads it.

struct Counts {
  tokens: u32,      // rows of the packed token axis
  decodes: u32,     // segments 0 … decodes-1 hold one token each and are tokens 0 … decodes-1
  segments: u32,
  chunks: u32,
  logit_rows: u32,
}

// A run of consecutive tokens of one sequence.
struct Segment {
  slot: u32,         // row of the state pool
  first: u32,        // its first token on the packed axis
  length: u32,       // tokens
  position: u32,     // tokens of the sequence that earlier steps have seen
  first_chunk: u32,  // its first entry in the chunk table; ceil(length / 64) entries; none for decodes
}

// At most 64 consecutive tokens of one prompt segment.
struct Chunk {
  segment: u32,
  first: u32,   // its first token on the packed axis
  length: u32,  // tokens
  pad: u32,
}
