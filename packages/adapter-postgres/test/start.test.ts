import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { Client } from "pg";
import { openSchema, url } from "./server.js";

const store = openSchema("start");
const said = (content: string) => ({ role: "user", content }) as const;
const manager = new PersistenceManager({ adapter: store.connect() });

beforeAll(() => manager.saveTurn({ session: createSession({ id: "s" }), messages: [said("1")] }));
afterAll(() => store.remove());

describe("a server that only reads", () => {
  const readOnly = { options: "-c default_transaction_read_only=on" };

  it("answers reads, says that it cannot be written, and refuses turns by that name", async () => {
    const adapter = store.connect({ client: store.pool(readOnly) });
    const reading = new PersistenceManager({ adapter });
    const opened = await reading.open("s");
    expect(opened?.messages).toHaveLength(1);
    expect(await adapter.describe()).toMatchObject({ writable: false });
    expect(await reading.health()).toMatchObject({ reachable: true, writable: false });
    const expected = {
      code: "STORAGE_FAILED",
      retryable: false,
      message: expect.stringContaining("only reads"),
    };
    const session = opened?.session ?? createSession();
    await expect(reading.saveTurn({ session, messages: [said("2")] })).rejects.toMatchObject(expected);
    await expect(reading.deleteSession("s")).rejects.toMatchObject(expected);
    expect(await manager.loadSessionHistory("s")).toHaveLength(1);
  });

  it("without tables, or without the index for searches, refuses to begin", async () => {
    const expected = { code: "STORAGE_FAILED", message: expect.stringContaining("only reads") };
    const client = store.pool(readOnly);
    const missing = store.connect({ client, tables: { sessions: "none", messages: "none_m" } });
    await expect(missing.initialize()).rejects.toMatchObject(expected);
    await expect(store.connect({ client, search: true }).initialize()).rejects.toMatchObject(expected);
  });
});

it("tables of the first form are refused by `verify`, and left as they are", async () => {
  const old = openSchema("start_old");
  await old.connect().initialize();
  await old.query(`DROP TABLE "${old.schema}".agent_records`);
  await old.query(`COMMENT ON TABLE "${old.schema}".agent_sessions IS 'waymark schema 1'`);
  await expect(old.connect({ initialize: "verify" }).initialize()).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    message: expect.stringMatching(/have schema 1.*needs schema 2/s),
  });
  expect(await old.connect().describe()).toMatchObject({ schemaVersion: 1, writable: false });
  await old.remove();
});

it("a single client that the application has closed is told as such", async () => {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.end();
  await expect(store.connect({ client }).sessionRepository.findById("s")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    retryable: false,
    message: expect.stringContaining("closed the client"),
  });
});
