import { type Expiry, sessionScope } from "@waymark/core/adapter";
import type { Store } from "./store.js";

export function createExpiry({ sessions, entries, records }: Store): Expiry {
  return {
    async sweep({ now, limit }) {
      const over = [...sessions.values()].filter(({ expiresAt }) => expiresAt !== null && expiresAt <= now);
      for (const { id, life } of over.slice(0, limit)) {
        sessions.delete(id);
        entries.delete(id);
        records.delete(sessionScope(id, life));
      }
      return Math.min(over.length, limit);
    },
  };
}
