// What balancers and container platforms ask every few seconds for as long as the server lives.

/**
 * The routes that need no key, answer before the model is loaded, and are logged at level debug only:
 * what they have to say of a server is in its log anyway.
 */
export const PROBE_PATHS: readonly string[] = [
  ...['/health', '/health/live', '/ready', '/health/ready'],
  '/metrics',
]
