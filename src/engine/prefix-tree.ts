// A radix tree over token ids: which of the stored prefixes begin a given prompt, and how far a
// prompt goes along with any of them. Pure; what a prefix carries is the caller's business.
import { invariant } from '../errors.ts'

/** A stored prefix; also the handle to remove it by. */
export interface PrefixEntry<T> {
  readonly value: T
  /** Tokens of the prefix. */
  readonly length: number
  readonly salt: string
  /** Where it hangs in the tree, which alone reads this. */
  readonly node: PrefixNode<T>
}

/** The end of an edge. Every node but a root holds an entry or is where paths part. */
interface PrefixNode<T> {
  /** Tokens of the edge from the parent; none for a root. */
  tokens: Uint32Array
  /** Tokens from the root to here. */
  end: number
  parent: PrefixNode<T> | undefined
  /** By the first token of their edges. */
  children: Map<number, PrefixNode<T>>
  /** Oldest first. */
  entries: PrefixEntry<T>[]
}

/** How far a sequence of tokens goes along the tree. */
interface Descent<T> {
  /** The last node that was reached. */
  node: PrefixNode<T>
  /** Tokens that were found. */
  shared: number
  /** The child of `node` within whose edge the shared tokens end, if they end within one. */
  within: PrefixNode<T> | undefined
}

export class PrefixTree<T> implements Iterable<PrefixEntry<T>> {
  /** By salt: prefixes of different salts never meet. */
  readonly #roots = new Map<string, PrefixNode<T>>()

  /** Stores a prefix: the first `length` of `tokens`, one or more. Equal ones stand side by side. */
  add(salt: string, tokens: ArrayLike<number>, length: number, value: T): PrefixEntry<T> {
    invariant(length > 0 && length <= tokens.length, `no prefix of ${length} tokens`)
    let root = this.#roots.get(salt)
    if (!root) {
      root = createNode<T>(undefined, new Uint32Array(0))
      this.#roots.set(salt, root)
    }
    const { node, shared, within } = descend(root, tokens, length)
    let at = within ? split(within, shared) : node
    if (shared < length) {
      const edge = new Uint32Array(length - shared)
      for (let i = shared; i < length; i++) edge[i - shared] = tokens[i]
      at = createNode(at, edge)
    }
    const entry = { value, length, salt, node: at }
    at.entries.push(entry)
    return entry
  }

  /** Takes an entry out, and the nodes that nothing needs any more. */
  remove(entry: PrefixEntry<T>): void {
    const { node, salt, length } = entry
    const index = node.entries.indexOf(entry)
    invariant(index >= 0, `the prefix of ${length} tokens was removed before`)
    node.entries.splice(index, 1)
    if (node.entries.length > 0) return
    const parent = node.parent!
    if (node.children.size === 0) {
      parent.children.delete(node.tokens[0])
      dissolve(parent)
    } else {
      dissolve(node)
    }
    if (this.#roots.get(salt)?.children.size === 0) this.#roots.delete(salt)
  }

  /** Entries that are prefixes of the first `length` tokens, long ones first, new ones before old. */
  prefixesOf(
    salt: string,
    tokens: ArrayLike<number>,
    length: number = tokens.length,
  ): PrefixEntry<T>[] {
    const found: PrefixEntry<T>[] = []
    const root = this.#roots.get(salt)
    let node = root && descend(root, tokens, length).node
    for (; node; node = node.parent) found.push(...node.entries.toReversed())
    return found
  }

  /** Most tokens that `tokens` begins with as some stored prefix does. */
  sharedLength(salt: string, tokens: ArrayLike<number>): number {
    const root = this.#roots.get(salt)
    return root ? descend(root, tokens, tokens.length).shared : 0
  }

  /** Every entry, in no order. */
  *[Symbol.iterator](): Generator<PrefixEntry<T>> {
    for (const node of this.#nodes()) yield* node.entries
  }

  /** Throws if a node is one that nothing needs, or hangs where its tokens do not lead. */
  check(): void {
    for (const node of this.#nodes()) {
      const { parent, children, entries, tokens, end } = node
      const needed = parent ? entries.length > 0 || children.size > 1 : children.size > 0
      invariant(needed, `a prefix node at ${end} tokens that nothing needs`)
      if (!parent) continue
      const linked = parent.children.get(tokens[0]) === node && parent.end + tokens.length === end
      invariant(linked, `a prefix node at ${end} tokens in the wrong place`)
    }
  }

  *#nodes(): Generator<PrefixNode<T>> {
    const left = [...this.#roots.values()]
    for (let node = left.pop(); node; node = left.pop()) {
      yield node
      left.push(...node.children.values())
    }
  }
}

function createNode<T>(parent: PrefixNode<T> | undefined, tokens: Uint32Array): PrefixNode<T> {
  const end = (parent?.end ?? 0) + tokens.length
  const node: PrefixNode<T> = { tokens, end, parent, children: new Map(), entries: [] }
  parent?.children.set(tokens[0], node)
  return node
}

function descend<T>(root: PrefixNode<T>, tokens: ArrayLike<number>, length: number): Descent<T> {
  let node = root
  while (node.end < length) {
    const child = node.children.get(tokens[node.end])
    if (!child) break
    const { end, tokens: edge } = child
    const start = node.end
    const stop = Math.min(end, length)
    let at = start + 1
    while (at < stop && edge[at - start] === tokens[at]) at++
    if (at < end) return { node, shared: at, within: child }
    node = child
  }
  return { node, shared: node.end, within: undefined }
}

/** Parts the edge to `node` at `end` tokens from the root; returns the new node there. */
function split<T>(node: PrefixNode<T>, end: number): PrefixNode<T> {
  const parent = node.parent!
  const cut = end - parent.end
  // Copies and no views: a view would keep the whole edge alive after one half is gone.
  const upper = createNode(parent, node.tokens.slice(0, cut))
  node.tokens = node.tokens.slice(cut)
  node.parent = upper
  upper.children.set(node.tokens[0], node)
  return upper
}

/** Replaces a node by its child if it neither holds an entry nor parts paths. */
function dissolve<T>({ tokens: upper, parent, children, entries }: PrefixNode<T>): void {
  if (!parent || entries.length > 0 || children.size !== 1) return
  const [child] = children.values()
  const tokens = new Uint32Array(upper.length + child.tokens.length)
  tokens.set(upper)
  tokens.set(child.tokens, upper.length)
  child.tokens = tokens
  child.parent = parent
  parent.children.set(tokens[0], child)
}
