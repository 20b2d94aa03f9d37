// The error of everything that reads specifications. It becomes ApiError 400 where the request
// field is known.

/** A specification is broken, too large, impossible or asks for what is not enforced. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** Throws a Refusal. */
export function refuse(message: string): never {
  throw new Refusal(message)
}

/** The value as a message shows it, cut to a readable length. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
