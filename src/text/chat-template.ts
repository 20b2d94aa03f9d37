// Chat templates: a conversation becomes the text that a model was trained to continue. The templates
// are Jinja, written by whoever trained the model, and rendered by @huggingface/jinja.

import { Template } from '@huggingface/jinja'
import { ApiError, CheckpointError } from '../errors.ts'
import { type TemplateWords, templateWords } from './template-words.ts'

/** A template and where it was found, for errors. */
export interface TemplateSource {
  /** Only `default` and `tool_use` are rendered. */
  name: string
  file: string
  text: string
}

/** What templates write around turns; undefined: the tokenizer has no such token. */
export interface TurnTokens {
  bosToken?: string
  eosToken?: string
}

/** A turn of a conversation. Further keys are the template's to know. */
export interface Turn {
  role: string
  content: string
  [key: string]: unknown
}

/** A conversation to render. */
export interface Dialogue {
  messages: readonly Turn[]
  tools?: readonly unknown[]
  /** End with the beginning of the assistant's next turn. */
  addGenerationPrompt: boolean
  /** End with the content of the last message. */
  continueFinalMessage: boolean
  /** More variables. */
  variables?: Record<string, unknown>
  /** The field that holds the messages, for errors; `messages` by default. */
  param?: string
}

/** Marks a place in a content, to be found in the text. Of private characters, which none uses. */
const MARK = '\uf8e3\uf8f0\uf8e5'

/** Most characters that an error repeats of what a template says. */
const MAX_WORDS = 300

/** Variables that have a meaning in every template. */
const RESERVED = new Set([
  ...['messages', 'tools', 'documents', 'add_generation_prompt', 'bos_token', 'eos_token'],
  ...['raise_exception', 'strftime_now', 'range', 'namespace'],
  ...['true', 'false', 'none', 'True', 'False', 'None'],
])

/** The template of a model: the default one, and for conversations with tools perhaps another. */
export class JinjaChatTemplate {
  /** True if the template shows tools to the model. */
  readonly knowsTools: boolean
  /** How the model writes calls, as far as its template tells. */
  readonly toolCallStyle: 'hermes' | 'mistral' | 'json'
  readonly #plain: ParsedTemplate
  readonly #withTools: ParsedTemplate
  readonly #tokens: TurnTokens

  constructor(plain: ParsedTemplate, withTools: ParsedTemplate | undefined, tokens: TurnTokens) {
    this.#plain = plain
    this.#withTools = withTools ?? plain
    this.#tokens = tokens
    const { source, variables } = this.#withTools
    this.knowsTools = variables.has('tools')
    this.toolCallStyle = source.text.includes('[TOOL_CALLS]')
      ? 'mistral'
      : source.text.includes('<tool_call>')
        ? 'hermes'
        : 'json'
  }

  /**
   * The text that the model continues. With `continueFinalMessage` it ends with the last message's
   * content, without spaces around it if the template strips contents.
   * Throws ApiError 400 with the template's words if it refuses the conversation.
   */
  render(dialogue: Dialogue): string {
    if (!dialogue.continueFinalMessage) return this.#renderWhole(dialogue)
    const last = dialogue.messages.length - 1
    const open = this.renderUpTo(dialogue, last, dialogue.messages[last].content.length)
    if (open !== undefined) return open
    throw new ApiError(400, 'the chat template does not show the end of the last message', {
      param: 'continue_final_message',
    })
  }

  /**
   * The beginning of the text, up to `offset` UTF-16 units of one message's content; spaces before
   * that place are left out if the template strips them. Undefined if the template does not show that
   * place. Throws ApiError 400 as `render` does.
   * @param rendered all of the text, whether the last message is continued or not
   */
  renderUpTo(
    dialogue: Dialogue,
    message: number,
    offset: number,
    rendered?: string,
  ): string | undefined {
    const { content } = dialogue.messages[message]
    const marked = content.slice(0, offset) + MARK + content.slice(offset)
    const turns = dialogue.messages.with(message, {
      ...dialogue.messages[message],
      content: marked,
    })
    const text = this.#renderWhole({ ...dialogue, messages: turns })
    const place = text.lastIndexOf(MARK)
    if (place < 0) return undefined
    const [before, after] = [text.slice(0, place), text.slice(place + MARK.length)]
    const whole = rendered ?? this.#renderWhole(dialogue)
    return [before, before.trimEnd()].find((start) => whole === start + after)
  }

  #renderWhole(dialogue: Dialogue): string {
    const { messages, tools, addGenerationPrompt, variables = {}, param = 'messages' } = dialogue
    const taken = Object.keys(variables).find((name) => RESERVED.has(name))
    if (taken !== undefined) {
      const field = `chat_template_kwargs.${taken}`
      throw new ApiError(400, `${field}: every template has its own ${taken}`, { param: field })
    }
    const { template, strings } = tools ? this.#withTools : this.#plain
    // Templates from before the role was split in two know the older name only.
    const known = strings.has('developer') ? messages : messages.map(asSystem)
    try {
      return template.render({
        ...variables,
        messages: known,
        // As transformers: absent is none, not undefined.
        tools: tools ?? null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
        bos_token: this.#tokens.bosToken,
        eos_token: this.#tokens.eosToken,
      })
    } catch (error) {
      const words = (error instanceof Error ? error.message : String(error)).slice(0, MAX_WORDS)
      throw new ApiError(400, `the chat template does not take these messages: ${words}`, {
        param,
      })
    }
  }
}

/**
 * The template to use of those that were found; undefined if there are none.
 * Throws CheckpointError for one that is no Jinja, and for several without a `default`.
 */
export function openChatTemplate(
  sources: readonly TemplateSource[],
  tokens: TurnTokens,
): JinjaChatTemplate | undefined {
  if (sources.length === 0) return undefined
  const plain = sources.find(({ name }) => name === 'default')
  const withTools = sources.find(({ name }) => name === 'tool_use')
  if (plain === undefined) {
    const names = sources.map(({ name }) => JSON.stringify(name)).join(', ')
    const message = `has the chat templates ${names}; one must be named "default"`
    throw new CheckpointError(sources[0].file, message)
  }
  return new JinjaChatTemplate(parse(plain), withTools && parse(withTools), tokens)
}

/** A template that parsed, and what can be told of it without rendering. */
interface ParsedTemplate extends TemplateWords {
  source: TemplateSource
  template: Template
}

function parse(source: TemplateSource): ParsedTemplate {
  try {
    const template = new Template(source.text)
    return { source, template, ...templateWords(template.parsed) }
  } catch (error) {
    const words = (error as Error).message.slice(0, MAX_WORDS)
    const name = JSON.stringify(source.name)
    throw new CheckpointError(
      source.file,
      `the chat template ${name} is not valid Jinja (${words})`,
    )
  }
}

function asSystem(turn: Turn): Turn {
  return turn.role === 'developer' ? { ...turn, role: 'system' } : turn
}
