import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { createProxy } from "@waymark/adapter-testkit";
import { PersistenceManager, createSession } from "@waymark/core";
import type { SessionRow } from "@waymark/core/adapter";
import { PrismaAdapter } from "../src/index.js";
import { PostgreSqlClient, PrismaPg } from "./clients.mjs";
import { addressOf, openPool, openSchema, url, urlAt } from "./postgres.js";
import { openFile } from "./sqlite.js";

const said = (content: string) => ({ role: "user", content }) as const;

let store: Awaited<ReturnType<typeof openSchema>>;
beforeAll(async () => {
  store = await openSchema("failures");
});
afterAll(() => store.remove());

const row: SessionRow = {
  ...{ id: "s", life: "l", revision: "r", version: "l.1", userId: null, agentName: null, status: "active" },
  ...{
    first: 1,
    last: 0,
    lastMessageAt: null,
    createdAt: 1,
    updatedAt: 1,
    completedAt: null,
    expiresAt: null,
  },
  ...{ route: null, step: null, state: {}, dirty: false, system: {} },
};

const clientAt = (connectionString: string) =>
  new PostgreSqlClient({ adapter: new PrismaPg({ connectionString }, { schema: store.schema }) });

it("a server that is not there is told as such, with no secret in the message", async () => {
  const proxy = await createProxy(addressOf());
  await proxy.close();
  const address = new URL(urlAt(proxy));
  address.password = "sesame";
  const prisma = clientAt(address.href);
  const adapter = new PrismaAdapter({ prisma });
  const expected = expect.objectContaining({ code: "STORAGE_UNAVAILABLE", retryable: true });
  const calls = [
    () => adapter.initialize(),
    () => adapter.sessionRepository.findById("s"),
    () => adapter.sessionRepository.delete("s", "r"),
    () => adapter.sessionRepository.find({}, { limit: 1 }),
    () => adapter.messageRepository.findBySessionId("s", { log: "l", from: 1, to: 2 }),
    () => adapter.messageRepository.deleteBySessionId("s", { log: "l" }),
    () => adapter.turns.load("s", { last: 1 }),
    async () => adapter.turns.remove?.([{ id: "s", revision: "r" }]),
    () => adapter.describe(),
  ];
  for (const call of calls) {
    const error: unknown = await call().catch((caught: unknown) => caught);
    expect(error).toEqual(expected);
    expect(String(error)).not.toContain("sesame");
  }
  await prisma.$disconnect();
});

it("a database that is not there is told as such", async () => {
  const address = new URL(url);
  address.pathname = "/nothing_of_this_name";
  const prisma = clientAt(address.href);
  await expect(new PrismaAdapter({ prisma }).sessionRepository.findById("s")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    retryable: false,
  });
  await prisma.$disconnect();
});

it("a pool that the application has closed is told as such", async () => {
  const pool = openPool();
  const prisma = new PostgreSqlClient({ adapter: new PrismaPg(pool, { schema: store.schema }) });
  const adapter = new PrismaAdapter({ prisma });
  expect(await adapter.sessionRepository.findById("s")).toBeNull();
  await pool.end();
  await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    retryable: false,
  });
  await prisma.$disconnect();
});

it("a database that only reads is told as such", async () => {
  const prisma = store.client({ options: "-c default_transaction_read_only=on" });
  const adapter = store.connect({ prisma });
  await expect(adapter.sessionRepository.update(row, "r")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    retryable: false,
    message: expect.stringContaining("only reads"),
  });
  expect(await adapter.describe()).toMatchObject({ writable: false });
});

it("what people said is in no message of an error", async () => {
  const adapter = store.connect();
  const secret = "the secret word\0";
  const [outcome] = await adapter.turns.commit([
    {
      ...{
        id: "nul",
        expect: { kind: "create", life: "l", createdAt: 1 },
        operation: { id: "o", digest: "" },
      },
      ...{ revision: "r", at: 1, set: {}, history: [] },
      messages: [{ userId: null, role: "user", content: secret, createdAt: 1, body: {} }],
    },
  ]);
  expect(outcome).toMatchObject({ status: "failed", error: { code: "STORAGE_FAILED", retryable: false } });
  const message = outcome?.status === "failed" ? String(outcome.error) : "";
  expect(message).not.toContain("secret");
  expect(await adapter.sessionRepository.findById("nul")).toBeNull();
});

it("turns go on when their connections are killed, none lost and none twice", async () => {
  const name = `${store.schema}_victim`;
  // The driver adapter does not listen to a connection at each moment of its life, so the pool is the application's own.
  const pool = openPool({ application_name: name }).on("connect", (client) => client.on("error", () => {}));
  const prisma = new PostgreSqlClient({ adapter: new PrismaPg(pool, { schema: store.schema }) });
  const manager = new PersistenceManager({ adapter: new PrismaAdapter({ prisma }) });
  const killer = openPool({ max: 1 });
  const stop = new AbortController();
  let killed = 0;
  const kill = async () => {
    while (!stop.signal.aborted) {
      const { rowCount } = await killer.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        [name],
      );
      killed += rowCount ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 10 + Math.random() * 60));
    }
  };
  const talk = async (id: string) => {
    const session = createSession<{ turn: number }>({ id });
    for (let turn = 0; turn < 30; turn++) {
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
        if (retry > 200) throw error;
      }
    }
  };
  const ids = ["a", "b", "c", "d"];
  const killing = kill();
  await Promise.all(ids.map(talk));
  stop.abort();
  await killing;
  await killer.end();
  expect(killed).toBeGreaterThan(5);
  for (const id of ids) {
    const history = await manager.loadSessionHistory(id);
    expect(history.map(({ content }) => content)).toEqual(Array.from({ length: 30 }, (_, turn) => `${turn}`));
  }
  await prisma.$disconnect();
  await pool.end();
}, 120_000);

it("a server that goes away and comes back is used again", async () => {
  const proxy = await createProxy(addressOf());
  const prisma = clientAt(urlAt(proxy));
  const manager = new PersistenceManager({ adapter: new PrismaAdapter({ prisma }) });
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
  await prisma.$disconnect();
  await proxy.close();
});

it("a SQLite file that somebody keeps locked is told as such, and is used again", async () => {
  const file = await openFile();
  const holder = file.client();
  const endless = { timeout: 60_000 };
  const adapter = file.connect();
  await holder.$transaction(async (tx) => {
    await tx.agentSession.create({ data: { id: "s" } });
    const [outcome] = await adapter.turns.commit([
      {
        ...{
          id: "t",
          expect: { kind: "create", life: "l", createdAt: 1 },
          operation: { id: "o", digest: "" },
        },
        ...{ revision: "r", at: 1, set: {}, messages: [], history: [] },
      },
    ]);
    expect(outcome).toMatchObject({ status: "failed", error: { code: "STORAGE_LOCKED", retryable: true } });
  }, endless);
  expect(await adapter.turns.load("t", { last: 1 })).toBeNull();
  const manager = new PersistenceManager({ adapter });
  await manager.saveTurn({ session: createSession({ id: "t" }), messages: [said("1")] });
  expect((await manager.loadSessionHistory("t")).length).toBe(1);
  expect(await adapter.describe()).toMatchObject({
    server: expect.stringMatching(/^SQLite 3/),
    writable: true,
  });
  await file.remove();
});
