// How often bun-webgpu asks Dawn for finished work. The library only asks while something is
// pending, and then in a busy loop.

/** The part of bun-webgpu 0.1.7's InstanceTicker that is used here. */
interface Ticker {
  _ticking: boolean
  hasWaiting(): boolean
  processEvents(): void
  scheduleTick(): void
}

/** How soon a device that is lost while nothing runs is noticed. */
const IDLE_INTERVAL_MS = 1000

/**
 * Looks for a lost device while nothing runs, and with `gently` replaces the busy loop by a look
 * every millisecond. While a step runs that loop takes a core from the threads of a software driver:
 * on two cores the default model decodes 98 tokens/s instead of 59, and 273 instead of 165 for
 * eight sequences (SwiftShader, 2026-11-23). A real GPU keeps the busy loop: there a millisecond is
 * long and the core is free.
 * @returns a function that ends it; to be called before the instance is destroyed
 */
export function startPolling(instance: object, gently: boolean): () => void {
  const ticker = (instance as { _ticker?: Ticker })._ticker
  // Another version of the library may be built differently; then it polls as it likes.
  if (typeof ticker?.scheduleTick !== 'function' || typeof ticker.processEvents !== 'function') {
    return () => {}
  }
  let stopped = false
  const idle = setInterval(() => ticker.processEvents(), IDLE_INTERVAL_MS)
  idle.unref()
  if (gently) {
    ticker.scheduleTick = () => {
      if (ticker._ticking || stopped) return
      ticker._ticking = true
      setTimeout(() => {
        ticker._ticking = false
        if (stopped) return
        try {
          ticker.processEvents()
        } finally {
          if (ticker.hasWaiting()) ticker.scheduleTick()
        }
      }, 1)
    }
  }
  return () => {
    stopped = true
    clearInterval(idle)
  }
}
