// Which rows of a step a dispatch makes: first_row() … end_row() - 1. The including file binds counts.
#include "step.wgsl"
#param ROWS: tokens | decode_tokens | prompt_tokens | logit_rows

fn first_row() -> u32 {
#if ROWS == prompt_tokens
  return counts.decodes;
#else
  return 0;
#endif
}

fn end_row() -> u32 {
#if ROWS == logit_rows
  return counts.logit_rows;
#elif ROWS == decode_tokens
  return counts.decodes;
#else
  return counts.tokens;
#endif
}
