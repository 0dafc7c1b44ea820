import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Facet, MemoryAdapter } from "@waymark/adapter-memory";
import type { PersistenceAdapter } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import type { Harness } from "../../src/index.js";

/** The memory adapter, or one that is wrong around it. */
export function memory(
  name: string,
  { without = [], spoil = (adapter) => adapter }: { without?: readonly Facet[]; spoil?: Spoil } = {},
): Harness {
  const has = (facet: Facet) => !without.includes(facet);
  return {
    name,
    open: async () => {
      const adapter = new MemoryAdapter({ without });
      const spoilt = spoil(adapter);
      return {
        connect: () => spoilt,
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
      turns: has("turns"),
      records: has("records"),
      search: has("search"),
      network: "none",
    },
  };
}

export type Spoil = (adapter: MemoryAdapter) => PersistenceAdapter;

export const files: Harness = {
  name: "files",
  open: async () => {
    const directory = await mkdtemp(join(tmpdir(), "waymark-kit-"));
    return {
      address: { directory },
      connect: () => new FileAdapter({ directory }),
      remove: () => rm(directory, { recursive: true, force: true }),
    };
  },
  expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
  processEntry: new URL("../children/files.mjs", import.meta.url),
};
