// How often bun-webgpu asks Dawn for finished work.

/** The part of bun-webgpu 0.1.7's InstanceTicker that is replaced here. */
interface Ticker {
  _ticking: boolean
  hasWaiting(): boolean
  processEvents(): void
  scheduleTick(): void
}

/**
 * Makes the library poll every millisecond instead of in a busy loop. While a step runs that loop
 * takes a core from the threads of a software driver: on two cores the default model decodes 98
 * tokens/s instead of 59, and 273 instead of 165 for eight sequences (SwiftShader, 2026-11-23).
 * A real GPU keeps the busy loop: there a millisecond is long and the core is free.
 */
export function pollGently(instance: object): void {
  const ticker = (instance as { _ticker?: Partial<Ticker> })._ticker
  // Another version of the library may be built differently; then it polls as it likes.
  if (typeof ticker?.scheduleTick !== 'function' || typeof ticker.processEvents !== 'function') {
    return
  }
  ticker.scheduleTick = function (this: Ticker) {
    if (this._ticking) return
    this._ticking = true
    setTimeout(() => {
      this.processEvents()
      this._ticking = false
      if (this.hasWaiting()) this.scheduleTick()
    }, 1)
  }
}
