// The glaze command run to its end.
import { join } from 'node:path'

const PROJECT = join(import.meta.dir, '../..')

/** Runs `glaze` with these arguments; GLAZE_ variables come from `env` only. */
export async function runGlaze(args: readonly string[], env: Record<string, string> = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GLAZE_'))
  const child = Bun.spawn([process.execPath, 'src/main.ts', ...args], {
    cwd: PROJECT,
    env: { ...Object.fromEntries(inherited), ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { stdout, stderr, code }
}
