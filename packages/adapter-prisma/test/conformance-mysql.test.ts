import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { clients } from "./clients.mjs";
import { openDatabase } from "./mysql.js";

testAdapter(
  {
    name: "Prisma on MariaDB",
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = await openDatabase("kit");
      const count = async (table: string, column: string, id: string): Promise<number> => {
        const text = `SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`;
        return Number((await store.query(text, id))[0]?.["n"]);
      };
      return {
        connect: () => store.connect(),
        remove: () => store.remove(),
        address: { clients, provider: "mysql", database: store.database },
        raw: {
          session: async (id) => (await count("agent_sessions", "id", id)) > 0,
          messages: (id) => count("agent_messages", "session_id", id),
        },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);
