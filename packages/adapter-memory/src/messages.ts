import { type MessageRepository, checkId } from "@waymark/core/adapter";
import { type Store, addEntry, copy, entriesOf, logOf } from "./store.js";

export function createMessages(store: Store): MessageRepository {
  return {
    async insert(entries) {
      for (const entry of entries) checkId(entry.sessionId, "insert");
      for (const entry of entries) addEntry(store, entry);
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      return entriesOf(store, sessionId, log, from, to);
    },

    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const entries = logOf(store, sessionId, log);
      if (entries === undefined) return 0;
      const before = entries.size;
      for (const sequence of [...entries.keys()]) if (sequence <= to) entries.delete(sequence);
      const removed = before - entries.size;
      if (entries.size === 0) store.entries.get(sessionId)?.delete(log);
      if (store.entries.get(sessionId)?.size === 0) store.entries.delete(sessionId);
      return removed;
    },

    async replace(entries) {
      for (const entry of entries) checkId(entry.sessionId, "replace");
      const present = entries.filter(
        ({ sessionId, log, sequence }) => logOf(store, sessionId, log)?.has(sequence) === true,
      );
      for (const entry of present) logOf(store, entry.sessionId, entry.log)?.set(entry.sequence, copy(entry));
      return present.length;
    },
  };
}
