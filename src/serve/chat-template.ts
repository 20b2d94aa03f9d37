// Which chat template a server uses.

import { CheckpointError } from '../errors.ts'
import { findChatTemplates, readChatTemplate } from '../loader/chat-templates.ts'
import type { Logger } from '../log.ts'
import { openChatTemplate } from '../text/chat-template.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

/**
 * The template of the file that the operator gave, or else of the checkpoint. Throws for a file that
 * cannot be used; a checkpoint that has none of use is served without chats.
 */
export async function chatTemplateOf(
  folder: string,
  file: string | undefined,
  tokenizer: Pick<Tokenizer, 'bosTokenId' | 'eosTokenId' | 'display'>,
  log: Logger,
) {
  const nameOf = (id: number | undefined) => (id === undefined ? undefined : tokenizer.display(id))
  const tokens = {
    bosToken: nameOf(tokenizer.bosTokenId),
    eosToken: nameOf(tokenizer.eosTokenId),
  }
  if (file !== undefined) return openChatTemplate(await readChatTemplate(file), tokens)
  try {
    return openChatTemplate(await findChatTemplates(folder), tokens)
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error
    const message = 'chats are refused: --chat-template FILE gives a template that can be used'
    log.warn(message, { reason: error.message })
    return undefined
  }
}
