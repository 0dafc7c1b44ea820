import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import { guard } from "./client.js";
import { decodeEntries } from "./rows.js";
import { insert, range, removeEntries } from "./scripts.js";
import { type Store, encodeEntries } from "./store.js";

/** Enough for any caller; a script should not hold the server for longer. */
const rangeLimit = 1000;

export function createMessages({ run, keys }: Store): MessageRepository {
  async function insertOf(sessionId: string, entries: readonly Entry[]): Promise<void> {
    for (let begin = 0; begin < entries.length; begin += rangeLimit) {
      const args = encodeEntries(entries.slice(begin, begin + rangeLimit));
      await run({ script: insert, keys: [keys.messages(sessionId)], args });
    }
  }

  return {
    async insert(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "insert");
      const ids = [...new Set(entries.map(({ sessionId }) => sessionId))];
      await Promise.all(
        ids.map((id) =>
          guard("insert", id, () =>
            insertOf(
              id,
              entries.filter(({ sessionId }) => sessionId === id),
            ),
          ),
        ),
      );
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      return guard("findBySessionId", sessionId, async () => {
        const first = Math.max(from, 1);
        const last = Math.min(to, first + rangeLimit - 1);
        if (!(first <= last)) return [];
        const args = [`${JSON.stringify(log)}:`, String(first), String(last)];
        const reply = await run({ script: range, keys: [keys.messages(sessionId)], args });
        const texts: unknown[] = Array.isArray(reply) ? reply : [];
        return decodeEntries(texts, { sessionId, log, from: first, operation: "findBySessionId" });
      });
    },

    async deleteBySessionId(sessionId, { log, to }) {
      checkId(sessionId, "deleteBySessionId");
      return guard("deleteBySessionId", sessionId, async () => {
        const args = [`${JSON.stringify(log)}:`, to === undefined ? "" : String(to)];
        return Number(await run({ script: removeEntries, keys: [keys.messages(sessionId)], args }));
      });
    },
  };
}
