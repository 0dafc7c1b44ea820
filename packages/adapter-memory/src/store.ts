import type { Entry, Json, SessionRow, StoredRecord } from "@waymark/core/adapter";

/** Everything that the adapter keeps. Values go in and come out as copies, as they would of a database. */
export interface Store {
  readonly sessions: Map<string, SessionRow>;
  /** Entries by session, log and sequence. */
  readonly entries: Map<string, Map<string, Map<number, Entry>>>;
  readonly records: Map<string, Map<string, StoredRecord>>;
}

export function createStore(): Store {
  return { sessions: new Map(), entries: new Map(), records: new Map() };
}

/** A copy by way of JSON text: what a database could not keep does not survive here either. */
export function copy<T extends Json | SessionRow | Entry>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

export function logOf(store: Store, sessionId: string, log: string): Map<number, Entry> | undefined {
  return store.entries.get(sessionId)?.get(log);
}

/** Keeps an entry unless its key is taken. */
export function addEntry(store: Store, entry: Entry): void {
  const logs = store.entries.get(entry.sessionId) ?? new Map<string, Map<number, Entry>>();
  const log = logs.get(entry.log) ?? new Map<number, Entry>();
  if (!log.has(entry.sequence)) log.set(entry.sequence, copy(entry));
  logs.set(entry.log, log);
  store.entries.set(entry.sessionId, logs);
}

export function entriesOf(store: Store, sessionId: string, log: string, from: number, to: number): Entry[] {
  const entries = logOf(store, sessionId, log);
  if (entries === undefined) return [];
  const found: Entry[] = [];
  const least = Math.max(from, 1);
  const most = Math.min(to, least + 999);
  for (let sequence = least; sequence <= most; sequence++) {
    const entry = entries.get(sequence);
    if (entry !== undefined) found.push(copy(entry));
  }
  return found;
}
