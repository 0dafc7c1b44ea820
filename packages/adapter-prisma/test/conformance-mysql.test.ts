import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { clients } from "./clients.mjs";
import { openDatabase } from "./mysql.js";
import { rawOf } from "./raw.js";

testAdapter(
  {
    name: "Prisma on MariaDB",
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = await openDatabase("kit");
      return {
        connect: () => store.connect(),
        remove: () => store.remove(),
        address: { clients, provider: "mysql", database: store.database },
        raw: rawOf(store.query),
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);
