import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { openSchema } from "./postgres.js";

testAdapter(
  {
    name: "Prisma on PostgreSQL",
    expects: { durability: "commit", turns: true, records: true, search: false },
    processEntry: new URL("./process-entry.mjs", import.meta.url),
    async open() {
      const store = await openSchema("kit");
      const count = async (table: string, column: string, id: string): Promise<number> => {
        const text = `SELECT count(*)::integer AS n FROM "${store.schema}".${table} WHERE ${column} = $1`;
        return Number((await store.query(text, [id]))[0]?.["n"]);
      };
      return {
        connect: () => store.connect(),
        remove: () => store.remove(),
        address: { provider: "postgresql", schema: store.schema },
        raw: {
          session: async (id) => (await count("agent_sessions", "id", id)) > 0,
          messages: (id) => count("agent_messages", "session_id", id),
        },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);
