import { type MessageRepository, checkId } from "@waymark/core/adapter";
import type { Store } from "./store.js";

export function createMessages({ entries, read, write }: Store): MessageRepository {
  return {
    async insert(added) {
      for (const { sessionId } of added) checkId(sessionId, "insert");
      await write(() => {
        for (const entry of added) {
          const key = [entry.sessionId, entry.log, entry.sequence];
          if (entries.get(key) === undefined) entries.put(key, entry);
        }
      });
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      const range = { start: [sessionId, log, from], end: [sessionId, log, to], inclusiveEnd: true };
      return read(() => Array.from(entries.getRange(range), ({ value }) => value));
    },

    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const range = { start: [sessionId, log, 1], end: [sessionId, log, to], inclusiveEnd: true };
      return write(() => {
        const keys = [...entries.getKeys(range)];
        for (const key of keys) entries.remove(key);
        return keys.length;
      });
    },
  };
}
