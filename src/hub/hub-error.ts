// What goes wrong between a model's name and its files; printed as one line like all OperatorErrors.

import { OperatorError } from '../errors.ts'

/** The hub has an answer, and it is no; or what it sends cannot be used. */
export class HubError extends OperatorError {
  override readonly name: string = 'HubError'
}

/**
 * New files cannot be had now, which says nothing against the model: the hub gives no answer, or the
 * cache cannot be written. An older download may do in its place.
 */
export class UnavailableError extends HubError {
  override readonly name = 'UnavailableError'
}
