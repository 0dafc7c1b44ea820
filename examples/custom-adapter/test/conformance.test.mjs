import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { testAdapter } from "@waymark/adapter-testkit";
import { open } from "lmdb";
import { LmdbAdapter } from "../dist/index.js";

testAdapter(
  {
    name: "LMDB",
    async open() {
      const path = await mkdtemp(join(tmpdir(), "waymark-lmdb-"));
      const database = open({ path, overlappingSync: false });
      return {
        address: { path },
        connect: () => new LmdbAdapter(database),
        async remove() {
          await database.close();
          await rm(path, { recursive: true });
        },
      };
    },
    expects: { durability: "commit", turns: false, records: false, search: false, network: "none" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
  },
  { describe, it, beforeAll: before, afterAll: after },
);
