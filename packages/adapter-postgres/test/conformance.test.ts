import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { openSchema } from "./server.js";

testAdapter(
  {
    name: "PostgreSQL",
    expects: { durability: "commit", turns: true, records: true, search: true },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = openSchema("kit");
      const count = async (table: string, column: string, id: string): Promise<number> => {
        const text = `SELECT count(*)::integer AS n FROM "${store.schema}".${table} WHERE ${column} = $1`;
        return Number((await store.query(text, [id]))[0]?.["n"]);
      };
      return {
        connect: () => store.connect({ search: true }),
        remove: () => store.remove(),
        address: { schema: store.schema },
        raw: {
          session: async (id) => (await count("agent_sessions", "id", id)) > 0,
          messages: (id) => count("agent_messages", "session_id", id),
        },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);
