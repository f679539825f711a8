/**
 * A JSON document as a flat list of nodes over its text.
 *
 * Nothing is copied out of the text: numbers keep all their digits, members keep their order and repeat when they are
 * repeated, and a document of megabytes costs four numbers a node. Depth is bounded by memory, not by the call stack.
 */
export const NodeKind = { Object: 0, Array: 1, String: 2, Number: 3, Literal: 4 } as const;
type Kind = (typeof NodeKind)[keyof typeof NodeKind];

export type JsonTape = {
  text: string;
  count: number;
  kind: Uint8Array;
  /** Depth of a node; the root has 0. */
  depth: Uint16Array;
  /** Where the member name begins and ends, quotes included; -1 in arrays and at the root. */
  keyStart: Int32Array;
  keyEnd: Int32Array;
  start: Int32Array;
  end: Int32Array;
  /** The node after this one and all it holds. */
  next: Int32Array;
  /** The node that holds this one; -1 at the root. */
  parent: Int32Array;
  /** How many members or elements. */
  size: Int32Array;
};

export class JsonError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const MAX_DEPTH = 2000;

/** Grows as nodes are added; shrunk to fit at the end. */
class Builder {
  private capacity = 1024;
  count = 0;
  kind = new Uint8Array(this.capacity);
  depth = new Uint16Array(this.capacity);
  private numbers = Array.from({ length: 7 }, () => new Int32Array(this.capacity));

  add(kind: Kind, depth: number, key: [number, number] | null, start: number, end: number, parent: number): number {
    if (this.count === this.capacity) this.grow();
    const at = this.count;
    this.count += 1;
    this.kind[at] = kind;
    this.depth[at] = depth;
    const values = [key?.[0] ?? -1, key?.[1] ?? -1, start, end, at + 1, parent, 0];
    values.forEach((value, column) => (this.numbers[column]![at] = value));
    if (parent >= 0) this.numbers[6]![parent]! += 1;
    return at;
  }

  close(at: number, end: number): void {
    this.numbers[3]![at] = end;
    this.numbers[4]![at] = this.count;
  }

  private grow(): void {
    this.capacity *= 2;
    const bigger = <T extends Uint8Array | Uint16Array | Int32Array>(make: new (size: number) => T, old: T): T => {
      const array = new make(this.capacity);
      array.set(old as never);
      return array;
    };
    this.kind = bigger(Uint8Array as never, this.kind);
    this.depth = bigger(Uint16Array as never, this.depth);
    this.numbers = this.numbers.map((old) => bigger(Int32Array as never, old));
  }

  finish(text: string): JsonTape {
    const n = this.count;
    const [keyStart, keyEnd, start, end, next, parent, size] = this.numbers.map((column) => column.slice(0, n));
    return {
      text, count: n, kind: this.kind.slice(0, n), depth: this.depth.slice(0, n),
      keyStart: keyStart!, keyEnd: keyEnd!, start: start!, end: end!, next: next!, parent: parent!, size: size!,
    };
  }
}

/** Reads a document; throws a `JsonError` with the place when it is not JSON. */
export function parseTape(text: string): JsonTape {
  const tape = new Builder();
  const open: number[] = [];
  let at = 0;
  let key: [number, number] | null = null;

  const skip = () => {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
  };
  const match = (pattern: RegExp): [number, number] | null => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return null;
    const found: [number, number] = [at, pattern.lastIndex];
    at = pattern.lastIndex;
    return found;
  };
  const matchString = (): [number, number] | null => {
    if (text[at] !== '"') return null;
    const begin = at;
    for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
      let slashes = 0;
      while (text[end - 1 - slashes] === "\\") slashes += 1;
      if (slashes % 2 === 1) continue;
      at = end + 1;
      return [begin, at];
    }
    return null;
  };
  const fail = (wanted: string): never => {
    throw new JsonError(at < text.length ? `${wanted} expected` : "the document ends too early", at);
  };
  const readKey = () => {
    skip();
    key = matchString() ?? fail("a member name");
    skip();
    if (text[at] !== ":") fail("a colon");
    at += 1;
  };
  const close = () => {
    at += 1;
    tape.close(open.pop()!, at);
  };

  for (;;) {
    // One value.
    skip();
    const parent = open.at(-1) ?? -1;
    const begin = at;
    const character = text[at];
    if (character === "{" || character === "[") {
      if (open.length >= MAX_DEPTH) throw new JsonError("nested too deeply", at);
      at += 1;
      open.push(tape.add(character === "{" ? NodeKind.Object : NodeKind.Array, open.length, key, begin, begin, parent));
      key = null;
      skip();
      if (text[at] === (character === "{" ? "}" : "]")) close();
      else {
        if (character === "{") readKey();
        continue;
      }
    } else {
      const kind = character === '"' ? NodeKind.String : character === "t" || character === "f" || character === "n" ? NodeKind.Literal : NodeKind.Number;
      const found = (kind === NodeKind.String ? matchString() : match(kind === NodeKind.Literal ? LITERAL : NUMBER)) ?? fail("a value");
      tape.add(kind, open.length, key, found[0], found[1], parent);
      key = null;
    }
    // What follows it.
    for (;;) {
      skip();
      const holder = open.at(-1);
      if (holder === undefined) {
        if (at < text.length) fail("the end");
        return tape.finish(text);
      }
      const isObject = tape.kind[holder] === NodeKind.Object;
      if (text[at] === ",") {
        at += 1;
        if (isObject) readKey();
        break;
      }
      if (text[at] !== (isObject ? "}" : "]")) fail(isObject ? "a comma or }" : "a comma or ]");
      close();
    }
  }
}

const readString = (source: string): string => {
  try {
    return JSON.parse(source) as string;
  } catch {
    return source;
  }
};

export const keyOf = (tape: JsonTape, node: number): string | null =>
  tape.keyStart[node]! < 0 ? null : readString(tape.text.slice(tape.keyStart[node], tape.keyEnd[node]));

/** The value of a leaf as text, strings without quotes. */
export const valueOf = (tape: JsonTape, node: number): string => {
  const source = tape.text.slice(tape.start[node], tape.end[node]);
  return tape.kind[node] === NodeKind.String ? readString(source) : source;
};

/** The path of a node as query fields write it: names with dots, arrays looked through. */
export function fieldPath(tape: JsonTape, node: number): string {
  const names: string[] = [];
  for (let at = node; at >= 0; at = tape.parent[at]!) {
    const key = keyOf(tape, at);
    if (key !== null) names.unshift(key.replace(/[\\.]/g, "\\$&"));
  }
  return names.join(".");
}

/** The rows of the tree that are to be seen: everything whose holders are all open. */
export function openRows(tape: JsonTape, isOpen: (node: number) => boolean): number[] {
  const rows: number[] = [];
  for (let at = 0; at < tape.count; ) {
    rows.push(at);
    const holds = tape.kind[at]! <= NodeKind.Array;
    at = holds && !isOpen(at) ? tape.next[at]! : at + 1;
  }
  return rows;
}

/** Nodes whose name or value holds the words, without case. */
export function findNodes(tape: JsonTape, words: string, limit = 5000): number[] {
  const wanted = words.toLowerCase();
  const found: number[] = [];
  if (wanted === "") return found;
  for (let at = 0; at < tape.count && found.length < limit; at += 1) {
    const key = tape.keyStart[at]! >= 0 ? tape.text.slice(tape.keyStart[at], tape.keyEnd[at]).toLowerCase() : "";
    const leaf = tape.kind[at]! > NodeKind.Array ? tape.text.slice(tape.start[at], tape.end[at]).toLowerCase() : "";
    if (key.includes(wanted) || leaf.includes(wanted)) found.push(at);
  }
  return found;
}
