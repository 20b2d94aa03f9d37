// What balancers and container platforms ask every few seconds for as long as the server lives.

/** The routes that need no key and answer before the model is loaded. */
export const PROBE_PATHS: readonly string[] = [
  ...['/health', '/health/live', '/ready', '/health/ready'],
  '/metrics',
]

/**
 * The routes that are asked every few seconds, and so are logged at level debug only: what they have to
 * say of a server is in its log anyway.
 */
export const POLLED_PATHS: readonly string[] = [...PROBE_PATHS, '/status']
