import type { Expiry } from "@waymark/core/adapter";
import type { Store } from "./store.js";

export function createExpiry({ sessions, entries }: Store): Expiry {
  return {
    async sweep({ now, limit }) {
      const over = [...sessions.values()].filter(({ expiresAt }) => expiresAt !== null && expiresAt <= now);
      for (const { id } of over.slice(0, limit)) {
        sessions.delete(id);
        entries.delete(id);
      }
      return Math.min(over.length, limit);
    },
  };
}
