import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { callTimeoutMs, clients } from "./clients.mjs";
import { openFile } from "./sqlite.js";
import { rawOf } from "./raw.js";

testAdapter(
  {
    name: "Prisma on SQLite",
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = await openFile();
      return {
        connect: () => store.connect(),
        remove: () => store.remove(),
        address: { clients, provider: "sqlite", file: store.file },
        raw: rawOf(store.query),
      };
    },
  },
  { describe, it, beforeAll, afterAll },
  { callTimeoutMs },
);
