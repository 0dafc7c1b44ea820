import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { Client } from "pg";
import type { PostgresClient } from "../src/index.js";
import { openSchema, url } from "./server.js";

const store = openSchema("transaction");
const said = (content: string) => ({ role: "user", content }) as const;
const outside = new PersistenceManager({ adapter: store.connect() });
const clients: Client[] = [];

beforeAll(async () => {
  await outside.prune();
  await store.query(`CREATE TABLE "${store.schema}".bookings (id integer PRIMARY KEY)`);
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await store.remove();
});

async function openClient(): Promise<Client> {
  const client = new Client({ connectionString: url, options: `-c search_path=${store.schema}` });
  clients.push(client);
  await client.connect();
  return client;
}

let names = 0;

/** A session with one message, and a client on which a transaction was begun. */
async function begun(begin = "BEGIN") {
  const id = `s${names++}`;
  await outside.saveTurn({ session: createSession({ id }), messages: [said("1")] });
  const client = await openClient();
  await client.query(begin);
  const inside = () =>
    new PersistenceManager({ adapter: store.connect({ client, transaction: true }), conflict: "reject" });
  const load = async (manager = outside) => {
    const session = await manager.loadSessionState(id);
    if (session === null) throw new Error("not there");
    return session;
  };
  const contents = async () => (await outside.loadSessionHistory(id)).map(({ content }) => content);
  return { id, client, inside, load, contents };
}

describe("a transaction that the adapter was not told of", () => {
  it("is refused by every call, and left as it is", async () => {
    const { id, client } = await begun();
    const adapter = store.connect({ client });
    const entry = {
      ...{ sessionId: id, log: "l", sequence: 1, userId: null },
      ...{ role: "user", content: "x" },
    };
    const calls = [
      () => adapter.initialize(),
      () => adapter.sessionRepository.findById(id),
      () => adapter.sessionRepository.find({}, { limit: 1 }),
      () => adapter.messageRepository.insert([{ ...entry, createdAt: 1, body: {} }]),
      () => adapter.turns.load(id, { last: 1 }),
      () => adapter.records.list("application", { limit: 1 }),
    ];
    const expected = { code: "CLIENT_IN_TRANSACTION", retryable: true };
    for (const call of calls) await expect(call()).rejects.toMatchObject(expected);
    await expect(client.query("SELECT 1 / 0")).rejects.toThrow();
    for (const call of calls) await expect(call()).rejects.toMatchObject(expected);
    await client.query("ROLLBACK");
    expect((await adapter.turns.load(id, { last: 1 }))?.entries).toHaveLength(1);
    expect(await adapter.messageRepository.findBySessionId(id, { log: "l", from: 1, to: 1 })).toEqual([]);
  });

  it("is noticed by an error where the client does not tell of it", async () => {
    const { id, client } = await begun();
    const silent: PostgresClient = { query: (statement: never) => client.query(statement) as Promise<never> };
    const adapter = store.connect({ client: silent });
    await expect(client.query("SELECT 1 / 0")).rejects.toThrow();
    await expect(adapter.turns.load(id, { last: 1 })).rejects.toMatchObject({
      code: "CLIENT_IN_TRANSACTION",
    });
    await client.query("ROLLBACK");
  });

  it("that begins while a call is on its way takes no turn that anybody is told of", async () => {
    const { id, client, load } = await begun();
    await client.query("ROLLBACK");
    const adapter = store.connect({ client });
    const { version = "" } = await load();
    const beginning = client.query("BEGIN");
    const outcomes = adapter.turns.commit([
      {
        ...{
          id,
          expect: { kind: "version", version },
          operation: { id: "o", digest: "" },
          revision: "r",
          at: 1,
        },
        ...{ set: {}, messages: [], history: [] },
      },
    ]);
    await expect(outcomes).rejects.toMatchObject({
      code: "CLIENT_IN_TRANSACTION",
      message: expect.stringContaining("become a part of it"),
    });
    await beginning;
    await client.query("ROLLBACK");
    expect((await load()).version).toBe(version);
  });

  it("is waited for: a turn that meets it is stored when it has ended", async () => {
    const { id, client, contents } = await begun();
    await client.query("ROLLBACK");
    const manager = new PersistenceManager({ adapter: store.connect({ client }) });
    const session = (await manager.open(id))?.session ?? createSession();
    await client.query("BEGIN");
    const saving = manager.saveTurn({ session, messages: [said("2")] });
    await Promise.resolve();
    await client.query("COMMIT");
    await saving;
    expect(await contents()).toEqual(["1", "2"]);
  });
});

describe("a transaction of the application", () => {
  it("is not of a pool, whose calls would each be stored by themselves", () => {
    expect(() => store.connect({ client: store.pool(), transaction: true })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it("takes turns with what else is written, and stores them when it commits", async () => {
    const { id, client, inside, load, contents } = await begun();
    const manager = inside();
    const session = await load(manager);
    session.data = { n: 1 };
    await manager.saveTurn({ session, messages: [said("2")] });
    await client.query("INSERT INTO bookings VALUES (1)");
    session.data = { n: 2 };
    const other = createSession({ id: `${id} other` });
    await Promise.all([
      manager.saveTurn({ session, messages: [said("3")], records: [{ key: "k", value: 1 }] }),
      manager.saveTurn({ session: other, messages: [said("other")] }),
      // Of the application's other connections: it travels alone, whatever becomes of the transaction.
      outside.saveTurn({ session: createSession({ id: `${id} outside` }), messages: [said("outside")] }),
    ]);
    expect((await manager.open(id))?.messages).toHaveLength(3);
    expect(await contents()).toEqual(["1"]);
    await manager.close();
    await client.query("COMMIT");
    expect(await contents()).toEqual(["1", "2", "3"]);
    // Whoever has the object cannot know that the transaction was not undone.
    await expect(outside.saveTurn({ session, messages: [said("lost")] })).rejects.toThrow();
    await outside.saveTurn({ session: await load(), messages: [said("4")] });
    expect(await outside.loadSessionState(`${id} other`)).not.toBeNull();
  });

  it("takes all of it back when it is rolled back; the state is loaded again", async () => {
    const { id, client, inside, load, contents } = await begun();
    const manager = inside();
    const session = await load(manager);
    const { version } = session;
    session.data = { n: 1 };
    await manager.saveTurn({ session, messages: [said("2")], records: [{ key: "k", value: 1 }] });
    await outside.saveTurn({ session: createSession({ id: `${id} outside` }) });
    await manager.close();
    await client.query("ROLLBACK");
    expect(await contents()).toEqual(["1"]);
    expect(await outside.records({ sessionId: id }).list()).toEqual([]);
    expect(await outside.loadSessionState(`${id} outside`)).not.toBeNull();
    await expect(outside.saveTurn({ session, messages: [said("lost")] })).rejects.toThrow();
    const again = await load();
    expect(again).toMatchObject({ version, data: {} });
    again.data = { n: 2 };
    await outside.saveTurn({ session: again, messages: [said("2 again")] });
    // Somebody else has come to the number of the version that was undone.
    session.data = { n: 3 };
    await expect(outside.saveTurn({ session, messages: [said("lost")] })).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    expect((await load()).data).toEqual({ n: 2 });
    expect(await contents()).toEqual(["1", "2 again"]);
  });

  it("goes on after a conflict", async () => {
    const { client, inside, load, contents } = await begun();
    const manager = inside();
    const [session, stale] = [await load(manager), await load(manager)];
    session.data = { n: 1 };
    await manager.saveTurn({ session, messages: [said("2")] });
    stale.data = { n: 2 };
    await expect(manager.saveTurn({ session: stale, messages: [said("lost")] })).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    await manager.saveTurn({ session, messages: [said("3")] });
    await client.query("COMMIT");
    expect(await contents()).toEqual(["1", "2", "3"]);
  });

  it("that has failed refuses turns at once, and takes them again behind a savepoint", async () => {
    const { client, inside, load, contents } = await begun();
    const manager = inside();
    const session = await load(manager);
    await manager.saveTurn({ session, messages: [said("kept")] });
    await client.query("SAVEPOINT mine");
    const later = { ...session };
    await manager.saveTurn({ session: later, messages: [said("undone")] });
    await expect(client.query("INSERT INTO nowhere VALUES (1)")).rejects.toThrow();
    let sent = 0;
    const counting: PostgresClient = {
      query: (statement: never) => {
        sent++;
        return client.query(statement) as Promise<never>;
      },
    };
    const broken = new PersistenceManager({
      adapter: store.connect({ client: counting, transaction: true }),
    });
    await expect(broken.saveTurn({ session: later, messages: [said("lost")] })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: false,
      message: expect.stringContaining("Roll it back"),
    });
    expect(sent).toBe(1);
    await client.query("ROLLBACK TO mine");
    await manager.saveTurn({ session, messages: [said("last")] });
    await client.query("COMMIT");
    expect(await contents()).toEqual(["1", "kept", "last"]);
  });

  it("that cannot be serialized is told as such, and not tried again inside", async () => {
    const { client, inside, load, contents } = await begun("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const manager = inside();
    const session = await load(manager);
    await outside.saveTurn({ session: await load(), messages: [said("2")] });
    await expect(manager.saveTurn({ session, messages: [said("lost")] })).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      retryable: false,
    });
    await client.query("ROLLBACK");
    expect(await contents()).toEqual(["1", "2"]);
  });

  it("has to be open", async () => {
    const { id, client, inside } = await begun();
    await client.query("COMMIT");
    await expect(inside().loadSessionState(id)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: false,
      message: expect.stringContaining("no transaction open"),
    });
  });
});
