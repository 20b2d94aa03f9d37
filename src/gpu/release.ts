// Gives back what bun-webgpu 0.1.7 keeps for ever: the native halves of compute passes and command
// buffers. Steps would otherwise leak 1.6 KiB each, 28 GB a day at 200 steps a second (2026-11-23).
import { dlopen, type Pointer } from 'bun:ffi'

/** Releases native objects that are no longer used. */
export interface Releaser {
  /** After `pass.end()`. */
  pass(pass: GPUComputePassEncoder): void
  /** After the buffer was submitted. */
  commands(commands: GPUCommandBuffer): void
}

/** Opens the library's own native part, whose symbol for passes the library misnames. */
export async function openReleaser(): Promise<Releaser> {
  const { default: library } = await import(
    `bun-webgpu-${process.platform}-${process.arch}/index.ts`
  )
  const { symbols } = dlopen(library, {
    wgpuComputePassEncoderRelease: { args: ['ptr'], returns: 'void' },
  })
  return {
    pass: (pass) => symbols.wgpuComputePassEncoderRelease((pass as { ptr: Pointer }).ptr),
    commands: (commands) => (commands as { _destroy(): void })._destroy(),
  }
}
