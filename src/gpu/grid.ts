// Dispatch sizes.

/** Most workgroups in one dimension on every adapter. */
export const MAX_WORKGROUPS = 65535

/**
 * Spreads `groups` workgroups over x and y; kernels take group.y · num_workgroups.x + group.x as
 * their index and leave if it is past the end.
 */
export function fold(groups: number): [number, number, number] {
  if (groups <= MAX_WORKGROUPS) return [groups, 1, 1]
  const y = Math.ceil(groups / MAX_WORKGROUPS)
  return [Math.ceil(groups / y), y, 1]
}
