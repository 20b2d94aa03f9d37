// Runs the whole test suite and ends with a line that says how it went: `N passed, N failed`. With
// arguments, those of `bun test`, runs what they say.

import { availableParallelism } from 'node:os'

/** Test files at once. Each has a device of its own; software adapters use all cores by themselves. */
const AT_ONCE = Math.min(4, availableParallelism())

/** They measure time or memory, which others would take from them. */
const ALONE = ['test/e2e/crowd.test.ts', 'test/soak/soak.test.ts']

const runs =
  process.argv.length > 2
    ? [process.argv.slice(2)]
    : [[`--parallel=${AT_ONCE}`, ...ALONE.map((file) => `--path-ignore-patterns=${file}`)], ALONE]

const total = { pass: 0, fail: 0, skip: 0 }
let isSound = true
for (const args of runs) {
  const { code, output } = await run(args)
  const count = (word: string) =>
    Number(new RegExp(`^\\s*(\\d+) ${word}$`, 'm').exec(output)?.[1] ?? 0)
  const [pass, fail] = [count('pass'), count('fail')]
  // A crash of the runner itself leaves no summary, or a clean one and a bad exit code.
  const crashed = (code !== 0 && fail === 0) || pass === 0
  if (crashed) console.error(`the test runner ended with exit code ${code}, ${pass} passed`)
  total.pass += pass
  total.fail += fail + Number(crashed)
  total.skip += count('skip')
  isSound &&= code === 0 && !crashed
}
const skipped = total.skip > 0 ? `, ${total.skip} skipped` : ''
console.log(`${total.pass} passed, ${total.fail} failed${skipped}`)
process.exit(isSound ? 0 : 1)

/** Runs `bun test`; what it prints is passed on and kept. */
async function run(args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([process.execPath, 'test', '--timeout', '120000', ...args], {
    stdout: 'pipe',
    stderr: 'pipe',
    cwd: `${import.meta.dir}/..`,
  })
  let output = ''
  const pass = async (stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true })
      output += text
      to.write(text)
    }
  }
  await Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)])
  return { code: await child.exited, output }
}
