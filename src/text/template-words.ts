// What a Jinja template speaks of: the variables that it reads and the texts that it compares with.

/** Found anywhere in a template, also in branches that a rendering does not take. */
export interface TemplateWords {
  /** Variables that are read; also those that the template itself sets. */
  variables: ReadonlySet<string>
  /** Strings of the code, and the pieces of text between. */
  strings: ReadonlySet<string>
}

/** A node of the syntax tree of @huggingface/jinja, as far as all have it. */
interface Node {
  type: string
  [key: string]: unknown
}

/** Walks a parsed template. */
export function templateWords(program: object): TemplateWords {
  const variables = new Set<string>()
  const strings = new Set<string>()
  const visit = (value: unknown): void => {
    if (value instanceof Map) for (const entry of value) visit(entry)
    else if (Array.isArray(value)) for (const each of value) visit(each)
    else if (isNode(value)) visitNode(value)
  }
  const visitNode = (node: Node): void => {
    if (node.type === 'Identifier') variables.add(String(node.value))
    else if (node.type === 'StringLiteral') strings.add(String(node.value))
    else for (const part of partsOf(node)) visit(part)
  }
  visit(program)
  return { variables, strings }
}

/** The parts of a node that may read variables: neither names of members nor targets of `set`. */
function partsOf(node: Node): unknown[] {
  const { property, assignee, key, ...rest } = node
  if (node.type === 'MemberExpression' && !node.computed) return Object.values(rest)
  if (node.type === 'Set' && isNode(assignee) && assignee.type === 'Identifier') {
    return Object.values(rest)
  }
  if (node.type === 'KeywordArgumentExpression') return Object.values(rest)
  return Object.values(node)
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}
