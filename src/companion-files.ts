// Files that belong to a model beside its configuration and weights: what a server reads of them, and
// what other programs need to read the model.

const COMPANIONS = [
  // Tokenizers of transformers; those behind tokenizer.json are of its slow ones and of Mistral's.
  /^(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|tekken)\.json$/,
  /^(tokenizer\.model(\.v\d+)?|merges\.txt|vocab\.txt)$/,
  /^(chat_template\.(jinja|json)|generation_config\.json)$/,
  /^additional_chat_templates\/\w[\w.-]*\.jinja$/,
  /^(LICEN[CS]E|NOTICE|USE_POLICY)(\.(md|txt))?$/i,
]

/** Whether this is one: tokenizer, template, generation settings, licence. @param name below the folder */
export function isCompanion(name: string): boolean {
  return COMPANIONS.some((pattern) => pattern.test(name))
}

/** Chat templates by name. */
export const TEMPLATE_FOLDER = 'additional_chat_templates'
