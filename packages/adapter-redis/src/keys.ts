/** Names of the keys of one adapter. All keys of a session have the same hash tag, so one script may use them on Cluster. */
export interface Keys {
  session(id: string): string;
  messages(id: string): string;
  /** The part of the list of all sessions in which this id stands. */
  listOf(id: string): string;
  /** All parts of the list of all sessions. */
  readonly lists: readonly string[];
  /** The list of the sessions of one user. */
  user(userId: string): string;
}

/** Never to be changed: a session is listed in the part that this number gives. */
const parts = 64;

export function createKeys(prefix: string): Keys {
  const lists = Array.from({ length: parts }, (_, part) => `${prefix}all:${String(part).padStart(2, "0")}`);
  return {
    session: (id) => `${prefix}session:{${escapeName(id)}}`,
    messages: (id) => `${prefix}messages:{${escapeName(id)}}`,
    listOf: (id) => lists[hash(id) % parts] ?? "",
    lists,
    user: (userId) => `${prefix}user:${escapeName(userId)}`,
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
