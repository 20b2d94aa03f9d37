// JSON schemas to grammars. xgrammar's own converter is not used: release 0.1.27 drops allOf, not,
// uniqueItems, multipleOf and required names without a property, lets undeclared members repeat
// declared ones, and writes numbers with bounds and control characters that are no JSON.

import { choice, type Expression, type Grammar, NEVER, rule, text } from './expression.ts'
import { FORMATS } from './formats.ts'
import {
  boundedString,
  JSON_OBJECT,
  JSON_STRING,
  JSON_VALUE,
  jsonRules,
  jsonText,
  quoted,
  stringContent,
} from './json-text.ts'
import { MAX_SCHEMAS } from './limits.ts'
import { searchRegex, wholeRegex } from './regex.ts'
import { resolveReference, type Schema, type SchemaObject } from './schema.ts'
import { checkSchema, fail } from './schema-check.ts'
import { checkDisjoint, flattened, isAssertion, isCombined, typesOf } from './schema-flatten.ts'
import { numberExpression } from './schema-numbers.ts'
import { arrayExpression, type Inner, objectExpression } from './schema-objects.ts'
import { satisfies } from './schema-values.ts'
import { withLength } from './text-length.ts'

/** Any JSON object. */
export function objectGrammar(): Grammar {
  return { root: rule(JSON_OBJECT), rules: jsonRules() }
}

/** The JSON texts of values that a schema allows, or of a part of them. Throws Refusal. */
export function schemaGrammar(schema: unknown): Grammar {
  checkSchema(schema)
  const compiler = new SchemaCompiler(schema)
  return { root: compiler.value(schema, '#'), rules: compiler.rules }
}

class SchemaCompiler implements Inner {
  readonly rules = jsonRules()
  readonly #known = new Map<string, Expression>()
  #schemas = 0

  constructor(readonly root: Schema) {}

  /** A rule for the values of a schema; equal schemas share one. */
  value(schema: Schema, path: string): Expression {
    if (schema === true) return rule(JSON_VALUE)
    if (schema === false) return NEVER
    const key = JSON.stringify(schema)
    const known = this.#known.get(key)
    if (known) return known
    if (++this.#schemas > MAX_SCHEMAS) fail(path, `leads to more than ${MAX_SCHEMAS} schemas`)
    const name = `schema ${this.#known.size}`
    this.#known.set(key, rule(name))
    this.rules.set(name, this.#any(schema, path))
    return rule(name)
  }

  name(schema: SchemaObject, path: string): Expression {
    const names = flattened(this.root, schema, path)
    return choice(...names.map((plain) => this.#string({ type: 'string', ...plain }, path)))
  }

  share(expression: Expression): Expression {
    if (expression.kind === 'text' || expression.kind === 'rule' || expression === NEVER) {
      return expression
    }
    const name = `part ${this.rules.size}`
    this.rules.set(name, expression)
    return rule(name)
  }

  #any(schema: SchemaObject, path: string): Expression {
    if (!isCombined(schema)) {
      return choice(...flattened(this.root, schema, path).map((plain) => this.#plain(plain, path)))
    }
    // A choice or a reference alone keeps its parts as they are, so that they may refer back.
    const { $ref, anyOf, oneOf } = schema
    if (Object.keys(schema).filter(isAssertion).length === 1) {
      if ($ref !== undefined) {
        return this.value(resolveReference(this.root, $ref, path) as Schema, $ref)
      }
      if (oneOf) checkDisjoint(this.root, oneOf, path)
      const options = anyOf ?? oneOf
      if (options) {
        const where = `${path}/${anyOf ? 'anyOf' : 'oneOf'}`
        return choice(...options.map((each, index) => this.value(each, `${where}/${index}`)))
      }
    }
    return choice(...flattened(this.root, schema, path).map((plain) => this.#plain(plain, path)))
  }

  #plain(schema: SchemaObject, path: string): Expression {
    if (schema.enum) return listed(schema, path)
    const types = new Set(typesOf(schema))
    if (types.has('number')) types.delete('integer')
    return choice(...Array.from(types, (type) => this.#typed(type, schema, path)))
  }

  #typed(type: string, schema: SchemaObject, path: string): Expression {
    switch (type) {
      case 'object':
        return objectExpression(schema, path, this)
      case 'array':
        return arrayExpression(schema, path, this)
      case 'string':
        return this.#string({ ...schema, type }, path)
      case 'number':
      case 'integer':
        return numberExpression(type, schema, path)
      case 'boolean':
        return choice(text('true'), text('false'))
      default:
        return text('null')
    }
  }

  /** Strings that a plain schema allows. */
  #string(schema: SchemaObject, path: string): Expression {
    if (![schema.type].flat().includes('string')) return NEVER
    if (schema.enum) return listed({ ...schema, type: 'string' }, path)
    const {
      pattern,
      format,
      minLength: min = 0,
      maxLength: max = Number.POSITIVE_INFINITY,
    } = schema
    // A pattern says more than a format, which is an annotation in JSON Schema.
    const known = format === undefined ? undefined : FORMATS.get(format)
    if (pattern === undefined && known === undefined) {
      if (min === 0 && max === Number.POSITIVE_INFINITY) return rule(JSON_STRING)
      return boundedString(min, max, this.rules)
    }
    const texts = pattern === undefined ? wholeRegex(known!) : searchRegex(pattern)
    const fitting = withLength(texts, min, max)
    if (!fitting) {
      const other = pattern === undefined ? `format ${format}` : 'pattern'
      fail(path, `minLength or maxLength beside this ${other} is not supported`)
    }
    return this.share(quoted(stringContent(fitting)))
  }
}

function listed(schema: SchemaObject, path: string): Expression {
  return choice(...schema.enum!.filter((value) => satisfies(value, schema, path)).map(jsonText))
}
