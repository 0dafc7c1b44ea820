import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { testAdapter } from "@waymark/adapter-testkit";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import { encryptStore, withEncryption } from "@waymark/core/wrap";
import { openSchema } from "./server.js";

jest.setTimeout(60_000);

const keys = [{ id: "k1", key: new Uint8Array(32).fill(1) }];

testAdapter(
  {
    name: "PostgreSQL, encrypted",
    expects: { durability: "commit", turns: true, records: true, search: false, network: "none" },
    processEntry: new URL("./encrypted-entry.mjs", import.meta.url),
    async open() {
      const store = openSchema("encrypted");
      const count = async (table: string, column: string, id: string): Promise<number> => {
        const text = `SELECT count(*)::integer AS n FROM "${store.schema}".${table} WHERE ${column} = $1`;
        return Number((await store.query(text, [id]))[0]?.["n"]);
      };
      return {
        connect: () => withEncryption(store.connect(), { keys }),
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

const secrets = ["Ada Lovelace", "a message of hers", "tool-input", "tool-result", "a-route", "diet-vegan"];
type Store = ReturnType<typeof openSchema>;
type Manager = PersistenceManager<Record<string, unknown>>;

/** Everything of all tables, as text. */
async function tablesOf(store: Store): Promise<string> {
  const tables = ["agent_sessions", "agent_messages", "agent_records"];
  const rows = tables.map((table) => store.query(`SELECT t::text AS row FROM "${store.schema}".${table} t`));
  return (await Promise.all(rows)).flatMap((found) => found.map(({ row }) => String(row))).join("\n");
}

async function fill(manager: Manager): Promise<void> {
  const session = createSession<Record<string, unknown>>({ id: "s", data: { name: "Ada Lovelace" } });
  session.routeHistory = Array.from({ length: 150 }, (_, n) => ({
    routeId: "a-route",
    enteredAt: new Date(n),
    completed: true,
  }));
  await manager.saveTurn({
    session,
    userId: "ann",
    messages: [
      ...Array.from({ length: 300 }, (_, n) => ({
        role: "user" as const,
        content: `a message of hers ${n}`,
      })),
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id: "t", name: "look", input: "tool-input", result: "tool-result" }],
      },
    ],
    records: [{ key: "diet", value: "diet-vegan" }],
  });
  await manager.records({ userId: "ann" }).put("diet", "diet-vegan");
}

describe("the tables", () => {
  const stores: Store[] = [];
  const open = (): Store => {
    const store = openSchema("encrypted");
    stores.push(store);
    return store;
  };
  afterAll(async () => {
    for (const store of stores) await store.remove();
  });

  it.each(["with whole turns", "through the outbox"])("have nothing that anybody said (%s)", async (path) => {
    const store = open();
    const { name, durability, limits, sessionRepository, messageRepository, records, turns } =
      store.connect();
    const hidden: PersistenceAdapter = {
      name,
      durability,
      limits,
      sessionRepository,
      messageRepository,
      records,
    };
    const isWhole = path === "with whole turns";
    const adapter = withEncryption(isWhole ? { ...hidden, turns } : hidden, { keys });
    await store.connect().initialize();
    const manager = new PersistenceManager<Record<string, unknown>>({ adapter });
    await fill(manager);
    const text = await tablesOf(store);
    expect(text).toContain("~aes");
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
    await manager.close();
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
  });

  it("have nothing of it after `encryptStore`, and all of it is read", async () => {
    const store = open();
    const plain: Manager = new PersistenceManager({ adapter: store.connect() });
    await fill(plain);
    const shown = [
      await plain.loadSessionState("s"),
      await plain.findMessagesBySessionId("s", { limit: 100 }),
    ];
    const before = await tablesOf(store);
    expect(secrets.filter((secret) => !before.includes(secret))).toEqual([]);
    expect(await encryptStore(store.connect(), { keys })).toEqual({
      ...{ sessions: 1, rows: 1, messages: 301 + 50, records: 2 },
    });
    const after = await tablesOf(store);
    expect(secrets.filter((secret) => after.includes(secret))).toEqual([]);
    const reader: Manager = new PersistenceManager({ adapter: withEncryption(store.connect(), { keys }) });
    expect([
      await reader.loadSessionState("s"),
      await reader.findMessagesBySessionId("s", { limit: 100 }),
    ]).toEqual(shown);
    expect((await reader.records({ sessionId: "s" }).get("diet"))?.value).toBe("diet-vegan");
    expect((await reader.records({ userId: "ann" }).get("diet"))?.value).toBe("diet-vegan");
  });
});
