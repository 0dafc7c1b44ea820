import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import { type Doing, countOf, isObject, run, write } from "./client.js";
import type { Codec } from "./row.js";
import type { Models, Names } from "./schema.js";

/** A bound that a caller may leave open, as a 32-bit column can compare it. */
const bound = (sequence: number) => Math.max(-1, Math.min(Math.trunc(sequence), 2 ** 31 - 1));

/** Tries of an insert beside others of the same keys; each fails only because another one succeeded. */
const tries = 10;

/** Entries as the repository and whole turns both find them. */
export interface Entries {
  /** Those whose keys are not stored yet. All are of one session. */
  absent(entries: readonly Entry[], doing: Doing): Promise<Entry[]>;
  find(sessionId: string, log: string, from: number, to: number, doing: Doing): Promise<Entry[]>;
  /** Whether there is a row to which entries can belong. */
  hasSession(id: string, doing: Doing): Promise<boolean>;
}

export function createEntries(
  models: () => Models,
  { sessions: { fields: f }, messages: { fields: m } }: Names,
  codec: Codec,
): Entries {
  return {
    async absent(entries, doing) {
      const sequences = entries.map(({ sequence }) => sequence);
      const where = {
        [m.sessionId]: entries[0]?.sessionId,
        [m.sequence]: { gte: Math.min(...sequences), lte: Math.max(...sequences) },
      };
      const select = { [m.log]: true, [m.sequence]: true };
      const found = await run(doing, () => models().messages.findMany({ where, select }));
      const keys = new Set(listOf(found).map((key) => `${String(key[m.sequence])} ${String(key[m.log])}`));
      return entries.filter(({ log, sequence }) => !keys.has(`${sequence} ${log}`));
    },

    async find(sessionId, log, from, to, doing) {
      const found = await run(doing, () =>
        models().messages.findMany({
          where: {
            [m.sessionId]: sessionId,
            [m.log]: log,
            [m.sequence]: { gte: bound(Math.ceil(from)), lte: bound(to) },
          },
          orderBy: { [m.sequence]: "asc" },
          take: 1000,
          select: codec.entrySelect,
        }),
      );
      return listOf(found).map((entry) => codec.decodeEntry(entry, sessionId));
    },

    async hasSession(id, doing) {
      const where = { [f.id]: id };
      const found = await run(doing, () => models().sessions.findUnique({ where, select: { [f.id]: true } }));
      return found !== null;
    },
  };
}

/** A list that the client answered, as one of our own: a driver may make it in another realm. */
export function listOf(found: unknown): Record<string, unknown>[] {
  return Array.isArray(found) ? Array.from<unknown>(found).filter(isObject) : [];
}

export function createMessages(
  models: () => Models,
  { messages: { fields: m } }: Names,
  codec: Codec,
  stored: Entries,
): MessageRepository {
  /** One session's entries, each key once. */
  async function insertOf(sessionId: string, entries: readonly Entry[]): Promise<void> {
    const doing = { operation: "insert", sessionId };
    let left = entries;
    for (let retry = 1; left.length > 0; retry++) {
      const data = left.map((entry) => ({ ...codec.encodeEntry(entry), [m.sessionId]: sessionId }));
      const refusal = await write(doing, () => models().messages.createMany({ data }));
      if (refusal === null) return;
      // Entries of a session that is gone belong to nobody, and went with it: the foreign key only says so earlier.
      if (refusal.kind === "orphan" && !(await stored.hasSession(sessionId, doing))) return;
      if (refusal.kind === "moved" || retry === tries) throw refusal.error;
      left = await stored.absent(left, doing);
    }
  }

  return {
    async insert(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "insert");
      const sessions = new Map<string, Map<string, Entry>>();
      for (const entry of entries) {
        const keys = sessions.get(entry.sessionId) ?? new Map<string, Entry>();
        const key = `${entry.sequence} ${entry.log}`;
        if (!keys.has(key)) keys.set(key, entry);
        sessions.set(entry.sessionId, keys);
      }
      for (const [sessionId, keys] of sessions) await insertOf(sessionId, inOrder([...keys.values()]));
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      return stored.find(sessionId, log, from, to, { operation: "findBySessionId", sessionId });
    },

    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const doing = { operation: "deleteBySessionId", sessionId };
      const where = { [m.sessionId]: sessionId, [m.log]: log, [m.sequence]: { lte: bound(to) } };
      return countOf(await run(doing, () => models().messages.deleteMany({ where })), doing);
    },

    async replace(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "replace");
      let written = 0;
      for (const entry of entries) {
        const { sessionId, log, sequence } = entry;
        const doing = { operation: "replace", sessionId };
        const where = { [m.sessionId]: sessionId, [m.log]: log, [m.sequence]: sequence };
        const data = codec.encodeOver(entry);
        written += countOf(await run(doing, () => models().messages.updateMany({ where, data })), doing);
      }
      return written;
    },
  };
}

/** In the order of the keys: two processes that deliver the same entries must not wait for each other. */
function inOrder(entries: Entry[]): Entry[] {
  return entries.toSorted((a, b) => a.sequence - b.sequence || (a.log < b.log ? -1 : 1));
}
