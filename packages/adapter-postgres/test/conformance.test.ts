import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { type Harness, type TestStore, testAdapter } from "@waymark/adapter-testkit";
import { startPrivate, wantsPrivate } from "../../../scripts/private.mjs";
import { addressOf, openSchema, url, urlAt } from "./server.js";

const password = "open-sesame";

function openStore(connectionString = url): TestStore {
  const store = openSchema("kit", { connectionString });
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
    network: {
      ...addressOf(connectionString),
      connect: (at) =>
        store.connect({
          search: true,
          client: store.pool({ connectionString: urlAt(at, connectionString), password }),
        }),
      secrets: [password],
    },
  };
}

async function openServer() {
  const server = await startPrivate("postgres", password);
  return { ...server, store: openStore(server.url) };
}

const hasServer = wantsPrivate("postgres");

const harness: Harness = {
  name: "PostgreSQL",
  expects: {
    ...{ durability: "commit", turns: true, records: true, search: true },
    network: hasServer ? "restart" : "proxy",
  },
  processEntry: new URL("./process-entry.mjs", import.meta.url),
  open: async () => openStore(),
  budgets: {
    turn: { roundTrips: 1, bytes: 1500 },
    resume: { roundTrips: 1, bytes: 5000 },
  },
  ...(hasServer && { openServer }),
};

testAdapter(harness, { describe, it, beforeAll, afterAll });
