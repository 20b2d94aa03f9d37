// Runs the whole test suite and ends with a line that says how it went: `N passed, N failed`.
const child = Bun.spawn(
  [process.execPath, 'test', '--timeout', '120000', ...process.argv.slice(2)],
  {
    stdout: 'pipe',
    stderr: 'pipe',
    cwd: `${import.meta.dir}/..`,
  },
)

let output = ''

async function pass(stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<void> {
  const decoder = new TextDecoder()
  for await (const chunk of stream) {
    const text = decoder.decode(chunk, { stream: true })
    output += text
    to.write(text)
  }
}

await Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)])
const code = await child.exited
const count = (word: string) =>
  Number(new RegExp(`^\\s*(\\d+) ${word}$`, 'm').exec(output)?.[1] ?? 0)
const [passed, failed, skipped] = [count('pass'), count('fail'), count('skip')]
// A crash of the runner itself leaves no summary, or a clean one and a bad exit code.
const crashed = code !== 0 && failed === 0 ? 1 : 0
const note = skipped > 0 ? `, ${skipped} skipped` : ''
if (crashed || passed === 0) console.error(`the test runner ended with exit code ${code}`)
console.log(`${passed} passed, ${failed + crashed} failed${note}`)
process.exit(code !== 0 || passed === 0 ? 1 : 0)
