import { type Entry, type Search, type SearchHit, ValidationError } from "@waymark/core/adapter";
import type { Store } from "./store.js";

const margin = 60;

/** Finds messages that contain the text, whatever its case; newest first. */
export function createSearch(store: Store): Search {
  return {
    async query({ text, userId, sessionId, from = -Infinity, to = Infinity, limit, cursor }) {
      const wanted = text.toLowerCase();
      const skip = cursor === undefined ? 0 : Number(cursor);
      if (!Number.isInteger(skip) || skip < 0) {
        throw new ValidationError(
          "INVALID_ARGUMENT",
          "query: the cursor is not one that an earlier page gave",
          {
            operation: "query",
          },
        );
      }
      const found: Entry[] = [];
      for (const row of store.sessions.values()) {
        if (row.status === "deleting" || (sessionId !== undefined && row.id !== sessionId)) continue;
        if (userId !== undefined && row.userId !== userId) continue;
        for (const entry of store.entries.get(row.id)?.get(row.life)?.values() ?? []) {
          if (entry.createdAt < from || entry.createdAt > to) continue;
          if (entry.content.toLowerCase().includes(wanted)) found.push(entry);
        }
      }
      found.sort((a, b) => b.createdAt - a.createdAt || b.sequence - a.sequence);
      const items = found.slice(skip, skip + limit).map((entry) => hit(entry, wanted));
      return { items, next: skip + limit < found.length ? String(skip + limit) : null };
    },
  };
}

function hit({ sessionId, log, sequence, content }: Entry, wanted: string): SearchHit {
  const at = Math.max(0, content.toLowerCase().indexOf(wanted));
  return {
    sessionId,
    log,
    sequence,
    snippet: content.slice(Math.max(0, at - margin), at + wanted.length + margin),
  };
}
