import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { PersistenceManager } from "@waymark/core";
import { openSchema, tables } from "./postgres.js";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const migration = read("../schema/migrate-postgresql.sql");

let store: Awaited<ReturnType<typeof openSchema>>;
beforeEach(async () => {
  store = await openSchema("migrate", read("sql/reference.sql"));
});
afterEach(() => store.remove());

const migrate = () => store.query(`SET search_path TO "${store.schema}"; ${migration}`);

async function insertSession(id: string, collected: unknown, more: Record<string, unknown> = {}) {
  const row = {
    id,
    user_id: "ann",
    collected_data: JSON.stringify(collected),
    created_at: "2024-01-01 00:00:00.001",
    updated_at: "2024-01-02 00:00:00.002",
    ...more,
  };
  const names = Object.keys(row);
  const places = names.map((_, index) => `$${index + 1}`);
  await store.query(
    `INSERT INTO agent_sessions (${names.join(", ")}) VALUES (${places.join(", ")})`,
    Object.values(row),
  );
}

async function insertMessage(id: string, session: string, role: string, content: string, second: number) {
  await store.query(
    `INSERT INTO agent_messages (id, session_id, role, content, route, tool_calls, event, created_at)
     VALUES ($1, $2, $3, $4, 'book', $5, '{"kind": "said", "nothing": null}', $6)`,
    [
      id,
      session,
      role,
      content,
      JSON.stringify([{ id: "t", name: "look", input: {} }]),
      new Date(second * 1000),
    ],
  );
}

it("sessions of the earlier schema go on where they stood", async () => {
  await insertSession("data", { name: "Ann ~", at: { deep: [1, null, "2024"] } }, { current_route: "book" });
  await insertSession("whole", {
    data: { name: "Bob" },
    dataByRoute: { book: { guests: 2 } },
    routeHistory: [{ routeId: "book", enteredAt: "2024-05-06T07:08:09.010Z", completed: true }],
    metadata: { createdAt: "2024-01-01T00:00:00.000Z", source: "web" },
  });
  await insertSession("empty", null, { status: "completed", message_count: 7 });
  // The second was said first, and two at the same moment.
  await insertMessage("m2", "data", "agent", "Hello", 20);
  await insertMessage("m1", "data", "user", "Hi", 10);
  await insertMessage("m3", "data", "user", "For two", 20);
  await migrate();

  const adapter = store.connect();
  const manager = new PersistenceManager({ adapter });
  const data = await manager.open("data");
  expect(data?.session).toMatchObject({
    data: { name: "Ann ~", at: { deep: [1, null, "2024"] } },
    currentRoute: { id: "book" },
    metadata: { createdAt: new Date("2024-01-01T00:00:00.001Z") },
  });
  expect(data?.messages.map(({ role, content, sequence }) => [sequence, role, content])).toEqual([
    [1, "user", "Hi"],
    [2, "assistant", "Hello"],
    [3, "user", "For two"],
  ]);
  expect(data?.messages[0]).toMatchObject({
    route: "book",
    toolCalls: [{ id: "t", name: "look", input: {} }],
    event: { kind: "said", nothing: null },
  });
  const whole = await manager.loadSessionState("whole");
  expect(whole).toMatchObject({
    data: { name: "Bob" },
    dataByRoute: { book: { guests: 2 } },
    routeHistory: [{ routeId: "book", enteredAt: new Date("2024-05-06T07:08:09.010Z"), completed: true }],
    metadata: { source: "web" },
  });
  expect((await manager.open("empty"))?.messages).toEqual([]);
  expect(await adapter.sessionRepository.findById("empty")).toMatchObject({ status: "completed", last: 0 });

  if (data === null) throw new Error("no session");
  data.session.data = { name: "Ann" };
  const saved = await manager.saveTurn({
    session: data.session,
    messages: [{ role: "user", content: "Again" }],
  });
  expect(saved).toMatchObject({ first: 4, last: 4 });
  const records = manager.records({ sessionId: "data" });
  await records.put("language", "sv");
  expect((await records.list()).map(({ key, value }) => [key, value])).toEqual([["language", "sv"]]);
  expect((await manager.loadSessionHistory("data")).map(({ content }) => content)).toEqual([
    "Hi",
    "Hello",
    "For two",
    "Again",
  ]);
  expect(await manager.deleteSession("data")).toBe(true);
  await manager.close();
});

it("the tables are then those of the fragment", async () => {
  await migrate();
  const fresh = await openSchema("fresh", tables);
  const shape = async (schema: string) => ({
    columns: await store.query(
      `SELECT table_name, column_name, data_type, is_nullable, column_default, datetime_precision
       FROM information_schema.columns WHERE table_schema = $1 ORDER BY table_name, column_name`,
      [schema],
    ),
    indexes: await store.query(
      `SELECT replace(indexdef, schemaname, '') AS definition FROM pg_indexes WHERE schemaname = $1 ORDER BY indexname`,
      [schema],
    ),
  });
  const expected = await shape(fresh.schema);
  expect(expected.columns.length).toBe(38);
  expect(await shape(store.schema)).toEqual(expected);
  await fresh.remove();
});

it("what would be read as something else stops it, and nothing is changed", async () => {
  await insertSession("odd", { data: { "~date": "x" } });
  await expect(migrate()).rejects.toThrow('begins with "~"');
  const found = await store.query(
    "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND column_name = 'life'",
    [store.schema],
  );
  expect(found).toEqual([]);
});
