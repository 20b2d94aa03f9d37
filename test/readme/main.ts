// `bun run readme`: writes the parts of the README that are made of code and data.

import { FINETUNING_PLOT, makeReadme, README } from './sections.ts'

const { text, plot } = await makeReadme()
await Bun.write(README, text)
await Bun.write(FINETUNING_PLOT, plot)
