import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createProxy } from "@waymark/adapter-testkit";
import { PersistenceManager, createSession } from "@waymark/core";
import { type PrivateServer, startPrivate, wantsPrivate } from "../../../scripts/private.mjs";
import { PostgreSQLAdapter } from "../src/index.js";
import { addressOf, openPool, openSchema, urlAt } from "./server.js";

const store = openSchema("failures");
const said = (content: string) => ({ role: "user", content }) as const;

beforeAll(() => store.connect().initialize());
afterAll(() => store.remove());

it("a server that is not there is told as such, with no secret in the message", async () => {
  const proxy = await createProxy(addressOf());
  await proxy.close();
  const address = new URL(urlAt(proxy));
  address.password = "sesame";
  const pool = openPool({ connectionString: address.href });
  const adapter = new PostgreSQLAdapter({ client: pool, schema: store.schema });
  const expected = expect.objectContaining({ code: "STORAGE_UNAVAILABLE", retryable: true });
  const calls = [
    () => adapter.initialize(),
    () => adapter.sessionRepository.findById("s"),
    () => adapter.sessionRepository.find({}, { limit: 1 }),
    () => adapter.messageRepository.findBySessionId("s", { log: "l", from: 1, to: 2 }),
    () => adapter.turns.load("s", { last: 1 }),
  ];
  for (const call of calls) {
    const error: unknown = await call().catch((caught: unknown) => caught);
    expect(error).toEqual(expected);
    expect(String(error)).not.toContain("sesame");
  }
  await pool.end();
});

it("tables that are missing are told as such", async () => {
  const adapter = store.connect({ schema: `${store.schema}_none` });
  await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    message: expect.stringContaining("initialize()"),
  });
});

it("a pool that the application has closed is told as such", async () => {
  const pool = openPool();
  await pool.end();
  const adapter = store.connect({ client: pool });
  await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    retryable: false,
  });
});

it("turns go on when their connections are killed, none lost and none twice", async () => {
  const pool = store.pool({ application_name: `${store.schema}_victim` });
  const killer = store.pool({ max: 1 });
  const manager = new PersistenceManager({ adapter: store.connect({ client: pool }) });
  const stop = new AbortController();
  let killed = 0;
  const kill = async () => {
    while (!stop.signal.aborted) {
      const { rowCount } = await killer.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        [`${store.schema}_victim`],
      );
      killed += rowCount ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 10 + Math.random() * 30));
    }
  };
  const killing = kill();
  const talk = async (id: string) => {
    const session = createSession<{ turn: number }>({ id });
    for (let turn = 0; turn < 60; turn++) {
      session.data.turn = turn;
      const operationId = `${id} ${turn}`;
      for (let retry = 0; ; retry++) {
        const error: unknown = await manager
          .saveTurn({ session, messages: [said(`${turn}`)], operationId })
          .then(
            () => null,
            (caught: unknown) => caught,
          );
        if (error === null) break;
        expect(error).toMatchObject({ code: "STORAGE_UNAVAILABLE" });
        if (retry > 50) throw error;
      }
    }
  };
  const ids = ["a", "b", "c", "d"];
  await Promise.all(ids.map(talk));
  stop.abort();
  await killing;
  expect(killed).toBeGreaterThan(5);
  for (const id of ids) {
    const history = await manager.loadSessionHistory(id);
    expect(history.map(({ content }) => content)).toEqual(Array.from({ length: 60 }, (_, turn) => `${turn}`));
  }
}, 60_000);

it("a server that goes away and comes back is used again", async () => {
  const proxy = await createProxy(addressOf());
  const pool = openPool({ connectionString: urlAt(proxy) });
  const manager = new PersistenceManager({
    adapter: new PostgreSQLAdapter({ client: pool, schema: store.schema }),
  });
  const session = createSession({ id: "back" });
  await manager.saveTurn({ session, messages: [said("1")] });
  await proxy.refuse();
  const turn = { session, messages: [said("2")], operationId: "two" };
  await expect(manager.saveTurn(turn)).rejects.toMatchObject({
    code: "STORAGE_UNAVAILABLE",
    retryable: true,
  });
  await expect(manager.loadSessionState("back")).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  await proxy.heal();
  expect(await manager.saveTurn(turn)).toMatchObject({ first: 2, last: 2, replayed: false });
  expect((await manager.loadSessionHistory("back")).map(({ content }) => content)).toEqual(["1", "2"]);
  await manager.close();
  await pool.end();
  await proxy.close();
});

it("a server that does not answer fails a call when the driver's time is over; the turn is stored once", async () => {
  const proxy = await createProxy(addressOf());
  const times = { connectionTimeoutMillis: 300, query_timeout: 300 };
  const pool = openPool({ connectionString: urlAt(proxy), ...times });
  const manager = new PersistenceManager({
    adapter: new PostgreSQLAdapter({ client: pool, schema: store.schema }),
  });
  const session = createSession({ id: "silent" });
  await manager.saveTurn({ session, messages: [said("1")] });
  const isHeld = proxy.hold();
  const turn = { session, messages: [said("2")], operationId: "two" };
  const error = { code: "STORAGE_UNAVAILABLE", retryable: true };
  await expect(manager.saveTurn(turn)).rejects.toMatchObject({ ...error, sessionId: "silent" });
  await isHeld;
  await expect(manager.loadSessionState("silent")).rejects.toMatchObject(error);
  // What was held back arrives now, beside what is sent again.
  await proxy.heal();
  expect(await manager.saveTurn(turn)).toMatchObject({ first: 2, last: 2 });
  expect((await manager.loadSessionHistory("silent")).map(({ content }) => content)).toEqual(["1", "2"]);
  await manager.close();
  await pool.end();
  await proxy.close();
});

(wantsPrivate("postgres") ? describe : describe.skip)("a server of its own", () => {
  const password = "open-sesame";
  let server: PrivateServer;
  beforeAll(async () => {
    server = await startPrivate("postgres", password);
  }, 60_000);
  afterAll(() => server.remove());

  it("that refuses the login says so, without the password", async () => {
    for (const login of ["postgres:wrong-guess", "nobody-here:wrong-guess"]) {
      const pool = openPool({ connectionString: server.url.replace(`postgres:${password}`, login) });
      const adapter = store.connect({ client: pool });
      for (const call of [() => adapter.initialize(), () => adapter.sessionRepository.findById("s")]) {
        const error: unknown = await call().catch((caught: unknown) => caught);
        expect(error).toMatchObject({
          ...{ code: "STORAGE_FAILED", retryable: false },
          message: expect.stringContaining("refused the login"),
        });
        expect(inspect(error, { depth: 12, showHidden: true })).not.toMatch(/wrong-guess|open-sesame/);
      }
      await pool.end();
    }
  });

  it("that only reads says so", async () => {
    const options = "-c default_transaction_read_only=on";
    const pool = openPool({ connectionString: server.url, options });
    const adapter = store.connect({ client: pool });
    await expect(adapter.initialize()).rejects.toMatchObject({
      ...{ code: "STORAGE_FAILED", retryable: false },
      message: expect.stringContaining("only reads"),
    });
    await pool.end();
  });

  it("that is not there when the adapter is made is used when it is", async () => {
    await server.stop();
    const pool = openPool({ connectionString: server.url });
    const adapter = store.connect({ client: pool });
    const error: unknown = await adapter.initialize().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "STORAGE_UNAVAILABLE", retryable: true });
    expect(inspect(error, { depth: 12, showHidden: true })).not.toContain(password);
    await server.start();
    await adapter.initialize();
    expect(await adapter.sessionRepository.findById("s")).toBeNull();
    await pool.end();
  }, 60_000);
});
