// The conformance kit, on what the build has made. Under node's own runner: `node --test test/kit.mjs`.
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
    expects: { durability: "commit", turns: false, records: false, search: false, expiry: false },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const path = await mkdtemp(join(tmpdir(), "waymark-lmdb-"));
      const databases = [];
      return {
        address: { path },
        connect() {
          const database = open({ path });
          databases.push(database);
          return new LmdbAdapter(database);
        },
        async remove() {
          for (const database of databases) await database.close();
          await rm(path, { recursive: true });
        },
      };
    },
  },
  { describe, it, beforeAll: before, afterAll: after },
);
