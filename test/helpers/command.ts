// The glaze command, or another script of the project, run to its end.
import { join } from 'node:path'

const PROJECT = join(import.meta.dir, '../..')

/** Runs `glaze` with these arguments. */
export function runGlaze(args: readonly string[], env: Record<string, string> = {}) {
  return runScript('src/main.ts', args, env)
}

/** Runs a script, a path from the project's root; GLAZE_ variables come from `env` only. */
export async function runScript(
  script: string,
  args: readonly string[],
  env: Record<string, string> = {},
) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('GLAZE_'))
  const child = Bun.spawn([process.execPath, script, ...args], {
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
