import type { Entry, Json, SessionRow } from "@waymark/core/adapter";
import { type Doing, damaged } from "./failure.js";

/**
 * What people store is one text in the document, and not JSON in its JSON: so no key of theirs is ever a field, and neither
 * the server nor a client that is set to read long numbers or to refuse names touches a value.
 */
type StoredRow = Omit<SessionRow, "state" | "system"> & { readonly state: string; readonly system: string };

type StoredEntry = Omit<Entry, "body"> & { readonly body: string };

export function encodeRow(row: SessionRow): string {
  const stored: StoredRow = {
    ...row,
    state: JSON.stringify(row.state),
    system: JSON.stringify(row.system),
  };
  return JSON.stringify(stored);
}

/** @throws `STORAGE_DAMAGED` */
export function decodeRow(source: unknown, id: string, operation: string): SessionRow {
  const doing = { operation, sessionId: id };
  if (!isStoredRow(source) || source.id !== id)
    throw damaged("the session's document is not that of a session", doing);
  return { ...source, state: parse(source.state, doing), system: parse(source.system, doing) };
}

export function encodeEntry(entry: Entry): string {
  const stored: StoredEntry = { ...entry, body: JSON.stringify(entry.body) };
  return JSON.stringify(stored);
}

/** @throws `STORAGE_DAMAGED` */
export function decodeEntry(source: unknown, sessionId: string, operation: string): Entry {
  const doing = { operation, sessionId };
  if (!isStoredEntry(source) || source.sessionId !== sessionId)
    throw damaged("a message's document is not that of a message", doing);
  return { ...source, body: parse(source.body, doing) };
}

/** The id of a message's document. A session's is the session's id. */
export function entryId({ sessionId, log, sequence }: Pick<Entry, "sessionId" | "log" | "sequence">): string {
  // Each part is told from the next: the first by its length, the second by what it is.
  return `${log.length}:${log}:${sequence}:${sessionId}`;
}

/** All messages of a session are on one shard. A comma would stand for two shards. */
export function routingOf(sessionId: string): string {
  return encodeURIComponent(sessionId);
}

function parse(text: string, doing: Doing): Json {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's error quotes what it has read.
    throw damaged("what is stored is not JSON", doing);
  }
}

function isStoredRow(source: unknown): source is StoredRow {
  const texts = ["id", "life", "revision", "version", "status", "state", "system"];
  return hasAll(source, texts, ["first", "last", "createdAt", "updatedAt"]);
}

function isStoredEntry(source: unknown): source is StoredEntry {
  return hasAll(source, ["sessionId", "log", "role", "content", "body"], ["sequence", "createdAt"]);
}

function hasAll(source: unknown, texts: readonly string[], numbers: readonly string[]): boolean {
  if (typeof source !== "object" || source === null) return false;
  const fields = new Map<string, unknown>(Object.entries(source));
  return (
    texts.every((name) => typeof fields.get(name) === "string") &&
    numbers.every((name) => typeof fields.get(name) === "number")
  );
}
