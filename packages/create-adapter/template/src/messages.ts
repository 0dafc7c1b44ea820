import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import type { Store } from "./store.js";

export function createMessages(store: Store): MessageRepository {
  return {
    // A key that is there stays as it is, and is no error, also where two insert it at once.
    async insert(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "insert");
      const map: Map<string, string> = store;
      for (const entry of entries) {
        const key = entryKey(entry.sessionId, entry.log, entry.sequence);
        if (!map.has(key)) map.set(key, JSON.stringify(entry));
      }
    },

    // What is there of the range, ascending. At most 1,000 are asked for.
    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      const map: Map<string, string> = store;
      const entries: Entry[] = [];
      for (let sequence = from; sequence <= to; sequence++) {
        const text = map.get(entryKey(sessionId, log, sequence));
        if (text !== undefined) entries.push(JSON.parse(text));
      }
      return entries;
    },

    // That log only, up to and including `to` where it is given. Answers how many there were.
    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const map: Map<string, string> = store;
      let count = 0;
      for (const key of map.keys()) {
        const [id, name, sequence] = decodeKey(key);
        if (id === sessionId && name === log && sequence <= to && map.delete(key)) count++;
      }
      return count;
    },
  };
}

const prefix = "entry:";

function entryKey(sessionId: string, log: string, sequence: number): string {
  return prefix + JSON.stringify([sessionId, log, sequence]);
}

function decodeKey(key: string): [sessionId: string, log: string, sequence: number] {
  return key.startsWith(prefix) ? JSON.parse(key.slice(prefix.length)) : ["", "", 0];
}
