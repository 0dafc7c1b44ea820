import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { type Facet, MemoryAdapter } from "@waymark/adapter-memory";
import { withEncryption } from "@waymark/core/wrap";
import { type Harness, testAdapter } from "../src/index.js";

const keys = [{ id: "k1", key: new Uint8Array(32).fill(7) }];

/** Each `connect` gives a wrapper of its own, as each process has one. */
function encrypted(name: string, without: readonly Facet[]): Harness {
  return {
    name,
    open: async () => {
      const adapter = new MemoryAdapter({ without });
      return {
        connect: () => withEncryption(adapter, { keys }),
        remove: async () => adapter.clear(),
        raw: {
          session: async (id) => adapter.getSnapshot().sessions.some((row) => row.id === id),
          messages: async (id) =>
            adapter.getSnapshot().messages.filter(({ sessionId }) => sessionId === id).length,
        },
      };
    },
    expects: {
      durability: "process",
      turns: !without.includes("turns"),
      records: !without.includes("records"),
      search: false,
      network: "none",
    },
  };
}

const runner = { describe, it, beforeAll, afterAll };

testAdapter(encrypted("memory, encrypted", []), runner);
testAdapter(encrypted("memory without facets, encrypted", ["turns", "records", "search"]), runner);
