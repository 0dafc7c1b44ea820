import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import { guard } from "./client.js";
import { decodeEntries } from "./rows.js";
import { insert, range, removeEntries, replace } from "./scripts.js";
import { type Store, encodeEntries } from "./store.js";

/** Enough for any caller; a script should not hold the server for longer. */
const rangeLimit = 1000;

export function createMessages({ run, keys }: Store): MessageRepository {
  /** Sends a script for the entries of each session. Resolves to what all of them answered together. */
  async function send(operation: string, script: string, entries: readonly Entry[]): Promise<number> {
    for (const { sessionId } of entries) checkId(sessionId, operation);
    const ids = [...new Set(entries.map(({ sessionId }) => sessionId))];
    const counts = await Promise.all(
      ids.map((id) =>
        guard(operation, id, () =>
          sendOf(
            id,
            script,
            entries.filter(({ sessionId }) => sessionId === id),
          ),
        ),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async function sendOf(sessionId: string, script: string, entries: readonly Entry[]): Promise<number> {
    let count = 0;
    for (let begin = 0; begin < entries.length; begin += rangeLimit) {
      const args = encodeEntries(entries.slice(begin, begin + rangeLimit));
      count += Number(await run({ script, keys: [keys.messages(sessionId)], args }));
    }
    return count;
  }

  return {
    async insert(entries) {
      await send("insert", insert, entries);
    },

    async replace(entries) {
      return send("replace", replace, entries);
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
