// What balancers and container platforms ask every few seconds for as long as the server lives.

/** The routes that need no key, answer before the model is loaded, and whose good news is not logged. */
export const PROBE_PATHS: readonly string[] = ['/health', '/ready']
