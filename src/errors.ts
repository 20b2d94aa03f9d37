// Every error that a person is meant to read. The message says what was found, what is allowed
// and where; the class says who must act: the caller, the operator, or us.

/** Error kinds of the OpenAI API that glaze uses, by HTTP status. */
const TYPE_BY_STATUS: Record<number, string> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'unavailable_error',
  504: 'timeout_error',
}

/** Body of an OpenAI error: all four keys are always there. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null }
}

/** Where an API error came from and what the client can do about it. */
export interface ApiErrorOptions {
  /** Request field at fault as a dotted path, for example `stop.2`. */
  param?: string
  /** Machine-readable cause, for example `model_not_found`. */
  code?: string
  /** Seconds until a retry makes sense; sent as `Retry-After`. */
  retryAfter?: number
}

/** The caller of the HTTP API must act. Never ends the process. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly param: string | undefined
  readonly code: string | undefined
  readonly retryAfter: number | undefined

  constructor(
    readonly status: number,
    message: string,
    options: ApiErrorOptions = {},
  ) {
    super(message)
    this.param = options.param
    this.code = options.code
    this.retryAfter = options.retryAfter
  }

  /** The error in OpenAI's wire format. */
  body(): ErrorBody {
    const type = TYPE_BY_STATUS[this.status] ?? 'invalid_request_error'
    return {
      error: { message: this.message, type, param: this.param ?? null, code: this.code ?? null },
    }
  }
}

/** The operator must act: a bad option, checkpoint or device. Printed as one line; exit code 1. */
export class OperatorError extends Error {
  override readonly name: string = 'OperatorError'
}

/** A flag or environment variable cannot be used. */
export class ConfigError extends OperatorError {
  override readonly name = 'ConfigError'
}

/** A checkpoint folder cannot be served; `file` is the file at fault. */
export class CheckpointError extends OperatorError {
  override readonly name = 'CheckpointError'

  constructor(
    readonly file: string,
    message: string,
  ) {
    super(`${file}: ${message}`)
  }
}

/** No usable GPU, or the GPU failed while running. */
export class DeviceError extends OperatorError {
  override readonly name = 'DeviceError'
}

/** Throws when our own code broke a promise to itself; such a process must not go on. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`)
}

/** The code of an error of the operating system or of a connection, such as ENOSPC. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
