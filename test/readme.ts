// `bun run readme`: writes the options into the README, from the table that is in code.

import { join } from 'node:path'
import { SERVE_OPTIONS } from '../src/config.ts'
import { withOptions } from '../src/options-markdown.ts'

const file = join(import.meta.dir, '../README.md')
await Bun.write(file, withOptions(await Bun.file(file).text(), SERVE_OPTIONS))
