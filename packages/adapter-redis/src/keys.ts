/** Names of the keys of one adapter. All keys of a session have the same hash tag, so one script may use them on Cluster. */
export interface Keys {
  session(id: string): string;
  messages(id: string): string;
  /** The records of a session, of all its lives: their values, and the order of their keys. */
  records(id: string): readonly [string, string];
  /** The same of a scope that is no session's, in a slot of its own. */
  scope(scope: string): readonly [string, string];
  /** The part of the list of all sessions in which this id stands. */
  listOf(id: string): string;
  /** All parts of the list of all sessions. */
  readonly lists: readonly string[];
  /** The list of the sessions of one user. */
  user(userId: string): string;
  /** The part of the list of all scopes in which this one stands. */
  scopeListOf(scope: string): string;
  /** All parts of the list of all scopes that hold records. */
  readonly scopeLists: readonly string[];
}

/** Never to be changed: a session or scope is listed in the part that this number gives. */
const parts = 64;

export function createKeys(prefix: string): Keys {
  const partsOf = (name: string) =>
    Array.from({ length: parts }, (_, part) => `${prefix}${name}:${String(part).padStart(2, "0")}`);
  const lists = partsOf("all");
  const scopeLists = partsOf("scopes");
  return {
    session: (id) => `${prefix}session:{${escapeName(id)}}`,
    messages: (id) => `${prefix}messages:{${escapeName(id)}}`,
    records: (id) => [`${prefix}records:{${escapeName(id)}}`, `${prefix}recordkeys:{${escapeName(id)}}`],
    scope: (scope) => [`${prefix}scope:{${escapeName(scope)}}`, `${prefix}scopekeys:{${escapeName(scope)}}`],
    listOf: (id) => lists[hash(id) % parts] ?? "",
    lists,
    user: (userId) => `${prefix}user:${escapeName(userId)}`,
    scopeListOf: (scope) => scopeLists[hash(scope) % parts] ?? "",
    scopeLists,
  };
}

/** A text as part of a key: reversible, and without braces (hash tags), colons and the characters of patterns. */
function escapeName(text: string): string {
  return text.replace(/[^\w.~-]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `%${code.toString(16).padStart(2, "0")}`;
    // A lone surrogate has no UTF-8; no other escape begins with a "u".
    return code >= 0xd800 && code <= 0xdfff ? `%u${code.toString(16)}` : encodeURIComponent(character);
  });
}

/** FNV-1a over UTF-16 units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0;
  // The low bits alone would hang on the last character too much.
  return (value ^ (value >>> 16)) >>> 0;
}
