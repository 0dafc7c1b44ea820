import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import type { Database } from "./database.js";
import { type EntryColumns, decodeEntry, encodeEntry, entryColumns, textColumns } from "./row.js";
import type { Names } from "./schema.js";

/** Entries as the repository and whole turns both write and read them. To be called within a transaction. */
export interface Entries {
  /** An existing key is left as it is. */
  insert(entries: readonly Entry[]): void;
  /** Only an existing key is written; answers how many. */
  replace(entries: readonly Entry[]): number;
  /** At most 1,000, ascending. */
  find(sessionId: string, log: string, from: number, to: number): Entry[];
  /** Those of one log up to a sequence; answers how many there were. */
  remove(sessionId: string, log: string, to: number): number;
}

const foundColumns = ["sequence", "user_id", "role", "content", "created_at", "body"];

/** A bound that a caller may leave open, as SQLite can compare it. */
const bound = (sequence: number) => Math.max(-1, Math.min(Math.trunc(sequence), Number.MAX_SAFE_INTEGER));

export function createEntries(db: Database, { messages }: Names): Entries {
  const insert = db.prepare(`INSERT INTO ${messages} (${entryColumns.join(", ")})
    VALUES (${entryColumns.map(() => "?").join(", ")}) ON CONFLICT DO NOTHING`);
  const replace = db.prepare(`UPDATE ${messages} SET (${entryColumns.join(", ")}) =
    (${entryColumns.map(() => "?").join(", ")}) WHERE session_id = ? AND log = ? AND sequence = ?`);
  const find = db.prepare<EntryColumns>(`SELECT ${db.select(foundColumns, textColumns)}
    FROM ${messages} WHERE session_id = ? AND log = ? AND sequence BETWEEN ? AND ?
    ORDER BY sequence LIMIT 1000`);
  const remove = db.prepare(`DELETE FROM ${messages} WHERE session_id = ? AND log = ? AND sequence <= ?`);

  return {
    insert(entries) {
      for (const entry of entries) insert.run(...encodeEntry(entry));
    },

    replace(entries) {
      let written = 0;
      for (const entry of entries)
        written += replace.run(...encodeEntry(entry), entry.sessionId, entry.log, entry.sequence);
      return written;
    },

    find(sessionId, log, from, to) {
      const found = find.all(sessionId, log, bound(Math.ceil(from)), bound(to));
      return found.map((columns) => decodeEntry(sessionId, log, columns));
    },

    remove: (sessionId, log, to) => remove.run(sessionId, log, bound(to)),
  };
}

export function createMessages(db: Database, stored: Entries): MessageRepository {
  return {
    async insert(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "insert");
      if (entries.length === 0) return;
      const doing = { operation: "insert", sessionId: entries[0]?.sessionId };
      await db.write(doing, () => stored.insert(entries));
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      const doing = { operation: "findBySessionId", sessionId };
      return db.read(doing, () => stored.find(sessionId, log, from, to));
    },

    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const doing = { operation: "deleteBySessionId", sessionId };
      return db.write(doing, () => stored.remove(sessionId, log, to));
    },

    async replace(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "replace");
      if (entries.length === 0) return 0;
      const doing = { operation: "replace", sessionId: entries[0]?.sessionId };
      return db.write(doing, () => stored.replace(entries));
    },
  };
}
