// Dawn's toggles, chained onto a device descriptor. bun-webgpu packs `nextInChain` as a plain
// pointer, so the native struct is laid out here by hand.
import { ptr } from 'bun:ffi'

/** Value of WGPUSType_DawnTogglesDescriptor in Dawn's webgpu.h. */
const DAWN_TOGGLES_DESCRIPTOR = 0x0005000a

/** A native struct together with everything it points to, which must outlive the call. */
export interface NativeToggles {
  pointer: number
  keepAlive: unknown[]
}

/**
 * Packs `WGPUDawnTogglesDescriptor` for a 64-bit ABI:
 * { chain: { next, sType, pad }, enabledCount, enabled**, disabledCount, disabled** }.
 */
export function packToggles(
  enabled: readonly string[],
  disabled: readonly string[],
): NativeToggles {
  const keepAlive: unknown[] = []
  const strings = (names: readonly string[]): bigint => {
    if (names.length === 0) return 0n
    const pointers = new BigUint64Array(
      names.map((name) => {
        const text = Buffer.from(`${name}\0`)
        keepAlive.push(text)
        return BigInt(ptr(text))
      }),
    )
    keepAlive.push(pointers)
    return BigInt(ptr(pointers))
  }
  const struct = new BigUint64Array(6)
  struct[1] = BigInt(DAWN_TOGGLES_DESCRIPTOR)
  struct[2] = BigInt(enabled.length)
  struct[3] = strings(enabled)
  struct[4] = BigInt(disabled.length)
  struct[5] = strings(disabled)
  keepAlive.push(struct)
  return { pointer: ptr(struct), keepAlive }
}
