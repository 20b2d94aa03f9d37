// A hub with a small repository, and a cache to download it to.

import { join } from 'node:path'
import { type ResolveOptions, resolveModel } from '../../src/hub/resolve-model.ts'
import { FakeHub } from '../helpers/fake-hub.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

export const WEIGHTS = new Uint8Array(300_000).map((_, index) => (index * 2654435761) >>> 24)

export const FILES = {
  'config.json': '{"model_type":"gla"}',
  'tokenizer.json': '{"model":{}}',
  'tokenizer_config.json': '{}',
  'model.safetensors': WEIGHTS,
  'README.md': '# A model',
  'pytorch_model.bin': new Uint8Array(10),
}

export class Harness implements AsyncDisposable {
  private constructor(
    readonly hub: FakeHub,
    readonly temp: TempFolder,
  ) {}

  static async open(files: ConstructorParameters<typeof FakeHub>[0] = FILES): Promise<Harness> {
    return new Harness(new FakeHub(files), await TempFolder.create())
  }

  get cacheFolder(): string {
    return join(this.temp.path, 'hub')
  }

  /** The repository's folder in the cache. */
  at(...path: string[]): string {
    return join(this.cacheFolder, 'models--tales--tiny', ...path)
  }

  readonly warnings: string[] = []
  readonly retries: string[] = []

  resolve(
    options: Partial<Omit<ResolveOptions, 'hub'>> & { hub?: Partial<ResolveOptions['hub']> } = {},
    model = 'tales/tiny',
  ) {
    return resolveModel(model, {
      onWarning: (message, reason) => this.warnings.push(`${message}: ${reason}`),
      ...options,
      hub: {
        ...{ endpoint: this.hub.endpoint, cacheFolder: this.cacheFolder, version: '1.2.3' },
        ...{ requestTimeoutMs: 2000, downloadTimeoutMs: 2000, backoffMs: 1 },
        onRetry: (reason) => this.retries.push(reason),
        ...options.hub,
      },
    })
  }

  /** The message of the error that `resolve` ends with. */
  async failure(...args: Parameters<Harness['resolve']>): Promise<string> {
    const error = await this.resolve(...args).then(
      () => undefined,
      (thrown) => thrown,
    )
    if (!(error instanceof Error)) throw new Error('a model was found')
    if (!/^(Hub|Unavailable|Config)Error$/.test(error.name)) throw error
    return error.message
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hub[Symbol.dispose]()
    await this.temp[Symbol.asyncDispose]()
  }
}
