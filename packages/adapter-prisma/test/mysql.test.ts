import { readFileSync } from "node:fs";
import { EventEmitter, once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import type { Commit } from "@waymark/core/adapter";
import { PrismaAdapter } from "../src/index.js";
import { openDatabase, tables } from "./mysql.js";

jest.setTimeout(120_000);

const said = (content: string) => ({ role: "user", content }) as const;

let store: Awaited<ReturnType<typeof openDatabase>>;
beforeAll(async () => {
  store = await openDatabase("own");
});
afterAll(() => store.remove());

let names = 0;
const newName = (prefix: string) => `${prefix}${names++}`;

function commitOf(id: string, fields: Partial<Commit> = {}): Commit {
  return {
    ...{
      id,
      expect: { kind: "append" },
      operation: { id: newName("o"), digest: "" },
      revision: newName("r"),
    },
    ...{ at: 1, set: {}, messages: [], history: [] },
    ...fields,
  };
}

const message = (content: string) => ({ userId: null, role: "user", content, createdAt: 1, body: {} });

async function problemOf(adapter: PrismaAdapter): Promise<string> {
  const error: unknown = await adapter.initialize().then(
    () => null,
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({ code: "INVALID_CONFIGURATION" });
  return error instanceof Error ? error.message : "";
}

describe("at the start", () => {
  it("tables that compare without case are refused, with statements that put it right and keep the rows", async () => {
    const fresh = await openDatabase("collation", tables);
    await fresh.client().agentSession.create({ data: { id: "Ann", system: "{}" } });
    const adapter = fresh.connect();
    const problem = await problemOf(adapter);
    expect(problem).toMatch(/^initialize: `id` of `AgentSession`, .*`scope` of `AgentRecord`, `key`/);
    const stored = () => fresh.client().agentSession.findMany({ select: { id: true } });
    expect(await stored()).toEqual([{ id: "Ann" }]);
    expect(await fresh.query("SELECT count(*) AS n FROM agent_records")).toEqual([{ n: 0n }]);
    await fresh.run(problem.slice(problem.indexOf("ALTER")));
    await adapter.initialize();
    expect(await stored()).toEqual([{ id: "Ann" }]);
    const manager = new PersistenceManager({ adapter });
    const ids = ["a", "A", "a ", "á", "a\u0301"];
    for (const id of ids)
      await manager.saveTurn({ session: createSession({ id }), userId: id, messages: [said(id)] });
    for (const id of ids) {
      expect((await manager.loadSessionHistory(id)).map(({ content }) => content)).toEqual([id]);
      expect((await manager.findSessionsByUserId(id)).map((found) => found.id)).toEqual([id]);
    }
    await manager.close();
    await fresh.remove();
  });

  it("lines to paste are those of the fragment", async () => {
    const fragment = readFileSync(new URL("../schema/mysql.prisma", import.meta.url), "utf8");
    const declarations = fragment.split("\n").map((line) => line.replace(/ @map\(.*?\)| \/\/.*/g, "").trim());
    const of = declarations.map((line) => line.replace(/\s+/g, " "));
    const { agentSession, agentMessage, agentRecord } = store.client();
    for (const model of ["agentSession", "agentMessage", "agentRecord"]) {
      const client = store.client();
      const models = { agentSession, agentMessage, agentRecord };
      // A model of which the client knows no field.
      const bare = {
        ...models,
        $connect: () => client.$connect(),
        $transaction: () => Promise.reject(new Error("not asked for")),
        $queryRawUnsafe: (query: string) => client.$queryRawUnsafe(query),
        [model]: new Proxy(Reflect.get(models, model), {
          get: (target, name) => (name === "fields" ? {} : Reflect.get(target, name)),
        }),
      };
      const problem = await problemOf(new PrismaAdapter({ prisma: bare }));
      const lines = problem.split("\n").filter((line) => line.startsWith("  "));
      expect(lines.length).toBeGreaterThan(5);
      for (const line of lines)
        expect(of).toContain(line.trim().replace("String @id @db", "String @id @default(cuid()) @db"));
    }
  });

  it("spaces at the end alone are enough to refuse", async () => {
    const padding = await openDatabase("padding", tables.replaceAll("utf8mb4_unicode_ci", "utf8mb4_bin"));
    expect(await problemOf(padding.connect())).toContain("utf8mb4_nopad_bin");
    await padding.remove();
  });

  it("a server that would cut what is too long is refused, with the statement to run", async () => {
    const prisma = store.client({ initSql: "SET SESSION sql_mode = ''" });
    const problem = await problemOf(store.connect({ prisma }));
    expect(problem).toContain("SET GLOBAL sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')");
  });

  it("the server is named", async () => {
    expect(await store.connect().describe()).toEqual({
      ...{ server: expect.stringMatching(/^MariaDB \d/), schemaVersion: 1, writable: true },
    });
  });
});

describe("the comparison", () => {
  it.each(["messages", "history", "records", "the state"])(
    "of turns with %s at once exactly one is stored, each time",
    async (what) => {
      const adapters = [store.connect(), store.connect(), store.connect(), store.connect()];
      await Promise.all(adapters.map((adapter) => adapter.initialize()));
      const [first] = adapters;
      if (first === undefined) throw new Error("no adapter");
      const id = newName("s");
      const create = { expect: { kind: "create", life: "l", createdAt: 1 } } as const;
      await first.turns.commit([commitOf(id, { ...create, set: { state: { n: 0 } } })]);
      let version = "l.1";
      for (let round = 1; round <= 15; round++) {
        const commits = Array.from({ length: 8 }, (_, n) =>
          commitOf(id, {
            expect: { kind: "version", version },
            set: { state: { round, n } },
            // Of half of them the messages have the key that the other half does not write.
            messages: what === "messages" && n % 2 === 0 ? [message(`${round}.${n}`)] : [],
            history: what === "history" && n % 2 === 0 ? [{ ...message(""), sequence: round }] : [],
            ...(what === "records" && n % 2 === 0 ? { records: [{ key: `k${n}`, value: n }] } : {}),
          }),
        );
        const all = await Promise.all(commits.map((commit, n) => adapters[n % 4]?.turns.commit([commit])));
        const outcomes = all.map((one) => one?.[0]);
        const won = outcomes.flatMap((outcome) => (outcome?.status === "committed" ? [outcome] : []));
        expect(outcomes.map((outcome) => outcome?.status).toSorted()).toEqual([
          "committed",
          ...Array.from({ length: 7 }, () => "conflict"),
        ]);
        version = won[0]?.version ?? "";
        const index = outcomes.findIndex((outcome) => outcome?.status === "committed");
        const loaded = await first.turns.load(id, { last: 50 });
        expect(loaded?.row.state).toEqual({ round, n: index });
        expect(loaded?.entries.length).toBe(loaded?.row.last);
      }
    },
  );
});

describe("the application's own transaction", () => {
  it("a turn by its client is stored with what else it writes, or not at all", async () => {
    const prisma = store.client();
    for (const fails of [false, true]) {
      const id = newName("s");
      const work = prisma.$transaction(async (tx) => {
        const inside = new PersistenceManager({ adapter: new PrismaAdapter({ prisma: tx }) });
        const session = createSession<{ n: number }>({ id });
        await inside.saveTurn({ session, messages: [said("1")] });
        session.data.n = 2;
        await inside.saveTurn({ session, messages: [said("2")], records: [{ key: "k", value: 1 }] });
        await tx.agentSession.create({ data: { id: `booking of ${id}`, system: "" } });
        if (fails) throw new Error("undone");
      });
      await (fails ? expect(work).rejects.toThrow("undone") : work);
      const manager = new PersistenceManager({ adapter: store.connect() });
      expect((await manager.loadSessionHistory(id)).map(({ content }) => content)).toEqual(
        fails ? [] : ["1", "2"],
      );
      expect((await manager.records({ sessionId: id }).get("k"))?.value).toBe(fails ? undefined : 1);
      expect(await prisma.agentSession.count({ where: { id: `booking of ${id}` } })).toBe(fails ? 0 : 1);
    }
  });

  it("one that a deadlock has undone is not made again in parts", async () => {
    const [a, b] = [newName("s"), newName("s")];
    const manager = new PersistenceManager({ adapter: store.connect() });
    for (const id of [a, b])
      await manager.saveTurn({ session: createSession({ id }), messages: [said("1")] });
    const prisma = store.client();
    const arrived = new EventEmitter();
    const both = [once(arrived, "0"), once(arrived, "1")] as const;
    const work = (mine: string, other: string, side: 0 | 1) =>
      prisma.$transaction(
        async (tx) => {
          const inside = new PrismaAdapter({ prisma: tx });
          const say = async (id: string, content: string) => {
            const [outcome] = await inside.turns.commit([commitOf(id, { messages: [message(content)] })]);
            if (outcome?.status === "failed") throw outcome.error;
          };
          await tx.agentSession.create({ data: { id: `booking of ${mine}`, system: "" } });
          await say(mine, "2");
          arrived.emit(`${side}`);
          await both[1 - side];
          await say(other, "3");
        },
        { timeout: 60_000 },
      );
    const ended = await Promise.allSettled([work(a, b, 0), work(b, a, 1)]);
    expect(ended.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const lost = ended.findIndex(({ status }) => status === "rejected");
    const { reason } = ended[lost] as PromiseRejectedResult;
    expect(reason).toMatchObject({ code: "STORAGE_LOCKED", retryable: false });
    const [won, undone] = lost === 0 ? [b, a] : [a, b];
    const history = async (id: string) =>
      (await manager.loadSessionHistory(id)).map(({ content }) => content);
    expect(await history(won)).toEqual(["1", "2"]);
    expect(await history(undone)).toEqual(["1", "3"]);
    const bookings = await prisma.agentSession.findMany({ where: { id: { startsWith: "booking of" } } });
    expect(bookings.map(({ id }) => id)).toContain(`booking of ${won}`);
    expect(bookings.map(({ id }) => id)).not.toContain(`booking of ${undone}`);
  });
});

it("what is too long for a column is refused, and the session stays as it was", async () => {
  const adapter = store.connect();
  const id = newName("s");
  await adapter.turns.commit([commitOf(id, { expect: { kind: "create", life: "l", createdAt: 1 } })]);
  const long = commitOf(id, { set: { agentName: "x".repeat(256) }, messages: [message("1")] });
  const [outcome] = await adapter.turns.commit([long]);
  expect(outcome).toMatchObject({
    status: "failed",
    error: { code: "STORAGE_FAILED", message: expect.stringContaining("too narrow") },
  });
  expect(await adapter.turns.load(id, { last: 9 })).toMatchObject({ row: { last: 0 }, entries: [] });
});
