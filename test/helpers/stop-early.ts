// `glaze serve` that gets SIGTERM after it has loaded its model and before it serves: when it asks
// the tokenizer for the names that its chat template needs.
import { parseCommandLine } from '../../src/command-line.ts'
import { serve } from '../../src/serve.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'

const { display } = Tokenizer.prototype
Tokenizer.prototype.display = function (id) {
  Tokenizer.prototype.display = display
  process.emit('SIGTERM', 'SIGTERM')
  return this.display(id)
}

const parsed = parseCommandLine(process.argv.slice(2), {})
if (parsed.command !== 'serve') throw new Error(`parsed as ${parsed.command}`)
process.exit(await serve(parsed.options))
