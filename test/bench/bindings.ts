// Which buffers a step's dispatches read and write: bind groups do not tell, so they are noted when
// they are made.
import type { BufferRange } from '../../src/gpu/buffers.ts'
import { Pipelines } from '../../src/gpu/pipelines.ts'

export type Bindings = Readonly<Record<string, BufferRange>>

/** The buffers of each bind group by the names that the kernel has for them. */
export class BindingNotes implements Disposable {
  readonly #noted = new WeakMap<GPUBindGroup, Bindings>()
  readonly #bind = Pipelines.prototype.bind

  /** Notes all bind groups that are made from now on, until it is disposed of. */
  constructor() {
    const bind = this.#bind
    const noted = this.#noted
    Pipelines.prototype.bind = function (pipeline, buffers) {
      const group = bind.call(this, pipeline, buffers)
      noted.set(group, buffers)
      return group
    }
  }

  of(group: GPUBindGroup): Bindings {
    const bindings = this.#noted.get(group)
    if (bindings === undefined) throw new Error('a bind group that was made unnoticed')
    return bindings
  }

  [Symbol.dispose](): void {
    Pipelines.prototype.bind = this.#bind
  }
}
