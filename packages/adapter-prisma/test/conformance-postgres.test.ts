import { afterAll, beforeAll, describe, it } from "@jest/globals";
import { type Harness, type TestStore, testAdapter } from "@waymark/adapter-testkit";
import { startPrivate, wantsPrivate } from "../../../scripts/private.mjs";
import { PrismaAdapter } from "../src/index.js";
import { PostgreSqlClient, PrismaPg, callTimeoutMs, clients, leftOut } from "./clients.mjs";
import { addressOf, openPool, openSchema, tables, url, urlAt } from "./postgres.js";

const password = "open-sesame";

async function openStore(connectionString = url): Promise<TestStore> {
  const store = await openSchema("kit", tables, connectionString);
  const ends: (() => Promise<void>)[] = [];
  const count = async (table: string, column: string, id: string): Promise<number> => {
    const text = `SELECT count(*)::integer AS n FROM "${store.schema}".${table} WHERE ${column} = $1`;
    return Number((await store.query(text, [id]))[0]?.["n"]);
  };
  /** The driver adapter does not listen to a connection at each moment of its life, so the pool is the application's own. */
  const adapterAt = (address: string) => {
    const pool = openPool({ connectionString: address, password });
    pool.on("connect", (client) => client.on("error", () => {}));
    const prisma = new PostgreSqlClient({ adapter: new PrismaPg(pool, { schema: store.schema }) });
    ends.push(async () => {
      await prisma.$disconnect();
      await pool.end();
    });
    return new PrismaAdapter({ prisma });
  };
  return {
    connect: () => adapterAt(connectionString),
    remove: async () => {
      await Promise.all(ends.map((end) => end()));
      await store.remove();
    },
    address: { clients, provider: "postgresql", schema: store.schema },
    raw: {
      session: async (id) => (await count("agent_sessions", "id", id)) > 0,
      messages: (id) => count("agent_messages", "session_id", id),
    },
    network: {
      ...addressOf(connectionString),
      connect: (at) => adapterAt(urlAt(at, connectionString)),
      secrets: [password],
    },
  };
}

async function openServer() {
  const server = await startPrivate("postgres", password);
  return { ...server, store: await openStore(server.url) };
}

const hasServer = wantsPrivate("postgres");

const harness: Harness = {
  name: "Prisma on PostgreSQL",
  expects: {
    ...{ durability: "commit", turns: true, records: true, search: false },
    network: hasServer ? "restart" : "proxy",
  },
  processEntry: new URL("./process-entry.mjs", import.meta.url),
  open: () => openStore(),
  budgets: {
    turn: { roundTrips: 5, bytes: 5500 },
    resume: { roundTrips: 2, bytes: 10_000 },
  },
  ...(hasServer && { openServer }),
};

const describeSome = (name: string, body: () => void) => {
  if (!leftOut.has(name)) describe(name, body);
};

testAdapter(harness, { describe: describeSome, it, beforeAll, afterAll }, { callTimeoutMs });
