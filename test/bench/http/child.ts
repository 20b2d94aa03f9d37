// A process of `bench http` that answers messages one by one.
import { join } from 'node:path'

export class Child<Question, Answer> implements AsyncDisposable {
  readonly #process: Bun.Subprocess
  #next = Promise.withResolvers<unknown>()

  /** @param script beside this file */
  constructor(script: string, ...args: string[]) {
    this.#process = Bun.spawn([process.execPath, join(import.meta.dir, script), ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
      serialization: 'json',
      ipc: (message) => this.#next.resolve(message),
      onExit: (_, code) => this.#next.reject(new Error(`${script} ended with code ${code}`)),
    })
  }

  /** The first message, which comes without a question. */
  async greeting<Message>(): Promise<Message> {
    return (await this.#next.promise) as Message
  }

  async ask(question: Question): Promise<Answer> {
    this.#next = Promise.withResolvers()
    this.#process.send(question)
    return (await this.#next.promise) as Answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#next.promise.catch(() => {})
    this.#process.kill()
    await this.#process.exited
  }
}
