// The real server with a chat template. The shipped model cannot chat: tests that use this are
// about the shape and the mechanics of replies.

import { join } from 'node:path'
import { type ServerProcess, startServer } from './server.ts'

/** Path of a ChatML template that knows tools. */
export const CHAT_TEMPLATE = join(import.meta.dir, '../fixtures/chatml.jinja')

export function startChatServer(args: readonly string[] = []): Promise<ServerProcess> {
  return startServer(['--chat-template', CHAT_TEMPLATE, ...args])
}
