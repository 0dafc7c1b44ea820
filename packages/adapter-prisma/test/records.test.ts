import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { type Records, type StoredRecord, compareBytes, userScope } from "@waymark/core/adapter";
import { PrismaAdapter } from "../src/index.js";
import { PostgreSqlClient, PrismaPg } from "./clients.mjs";
import { openPool, openSchema, tables, url } from "./postgres.js";
import { openFile } from "./sqlite.js";

jest.setTimeout(120_000);

const said = (content: string) => ({ role: "user", content }) as const;

let store: Awaited<ReturnType<typeof openSchema>>;
beforeAll(async () => {
  store = await openSchema("records");
});
afterAll(() => store.remove());

function recordsOf({ records }: PrismaAdapter): Records {
  if (records === undefined) throw new Error("the adapter keeps no records");
  return records;
}

const recordOf = (scope: string, key: string, fields: Partial<StoredRecord> = {}): StoredRecord => ({
  ...{ scope, key, value: key, revision: `${scope} ${key}`, stamp: "1" },
  ...fields,
});

describe("with a turn", () => {
  it("they are one transaction with it, and a turn without any is the call that it was", async () => {
    const calls: string[] = [];
    const prisma = store.client().$extends({
      query: {
        $allModels: {
          $allOperations({ model, operation, args, query }) {
            calls.push(`${model}.${operation}`);
            return query(args);
          },
        },
      },
    });
    const manager = new PersistenceManager({ adapter: new PrismaAdapter({ prisma }) });
    const session = createSession<{ n: number }>({ id: "calls" });
    await manager.saveTurn({ session, messages: [said("0")], records: [{ key: "n", value: 0 }] });
    const before = await store.query("SELECT txid_current() AS id");
    calls.length = 0;
    session.data.n = 1;
    await manager.saveTurn({
      session,
      messages: [said("1")],
      records: [
        { key: "n", value: 1 },
        { key: "gone", value: null },
      ],
    });
    const after = await store.query("SELECT txid_current() AS id");
    expect(Number(after[0]?.["id"]) - Number(before[0]?.["id"])).toBe(2);
    expect(calls).toEqual([
      ...["AgentSession.updateMany", "AgentMessage.createMany"],
      ...["AgentRecord.deleteMany", "AgentRecord.createMany"],
    ]);
    calls.length = 0;
    session.data.n = 2;
    await manager.saveTurn({ session, messages: [said("2")] });
    expect(calls).toEqual(["AgentSession.update"]);
    const list = await manager.records({ sessionId: "calls" }).list();
    expect(list.map(({ key, value }) => [key, value])).toEqual([["n", 1]]);
    await manager.close();
  });

  it("a record that the application's own constraint refuses takes the turn with it", async () => {
    const strict = await openSchema("strict", `${tables}; ALTER TABLE agent_records ADD CHECK (key <> 'no')`);
    const manager = new PersistenceManager({ adapter: strict.connect() });
    const session = createSession<{ n: number }>({ id: "s" });
    const refused = { code: "STORAGE_FAILED", retryable: false };
    const records = [{ key: "no", value: 1 }];
    await expect(manager.saveTurn({ session, messages: [said("1")], records })).rejects.toMatchObject(
      refused,
    );
    expect(await manager.loadSessionState("s")).toBeNull();
    await manager.saveTurn({ session, messages: [said("1")] });
    session.data.n = 2;
    await expect(manager.saveTurn({ session, messages: [said("2")], records })).rejects.toMatchObject(
      refused,
    );
    expect((await manager.open("s"))?.messages.map(({ content }) => content)).toEqual(["1"]);
    expect((await manager.loadSessionState("s"))?.data).toEqual({});
    await manager.close();
    await strict.remove();
  });

  it("they are stored with what else the application writes in its transaction, or not at all", async () => {
    const prisma = store.client();
    for (const fails of [false, true]) {
      const id = `inside ${String(fails)}`;
      const work = prisma.$transaction(async (tx) => {
        const inside = new PersistenceManager({ adapter: new PrismaAdapter({ prisma: tx }) });
        const session = createSession({ id });
        await inside.saveTurn({ session, messages: [said("1")], records: [{ key: "k", value: 1 }] });
        await inside.records({ sessionId: id }).put("later", 2);
        await inside.records({ userId: id }).put("language", "sv");
        expect(await inside.deleteSession("nobody")).toBe(false);
        if (fails) throw new Error("undone");
      });
      await (fails ? expect(work).rejects.toThrow("undone") : work);
    }
    const stored = await prisma.agentRecord.findMany({
      where: { scope: { contains: "inside" } },
      orderBy: { key: "asc" },
    });
    expect(stored.map(({ scope, key }) => [scope.split("/").at(-1), key])).toEqual([
      ["inside false", "k"],
      ["inside false", "language"],
      ["inside false", "later"],
    ]);
  });

  it("on SQLite, more than one call can have values are stored with it, and replaced", async () => {
    const file = await openFile();
    const manager = new PersistenceManager({ adapter: file.connect() });
    const session = createSession<{ n: number }>({ id: "many" });
    for (const n of [1, 2]) {
      session.data.n = n;
      const records = Array.from({ length: 1100 }, (_, index) => ({ key: `k${index}`, value: n }));
      await manager.saveTurn({ session, messages: [said(`${n}`)], records });
    }
    const stored = await file.client().agentRecord.groupBy({ by: ["value"], _count: true });
    expect(stored).toEqual([{ value: "2", _count: 1100 }]);
    await manager.close();
    await file.remove();
  });

  it("a removal takes those of its sessions and leaves the others", async () => {
    const adapter = store.connect();
    const manager = new PersistenceManager({ adapter });
    const ids = ["removed", "kept"];
    for (const id of ids)
      await manager.saveTurn({
        session: createSession({ id }),
        messages: [said("1")],
        records: [{ key: "k", value: 1 }],
      });
    const rows = await Promise.all(ids.map((id) => adapter.sessionRepository.findById(id)));
    const seen = rows.map((row) => ({ id: row?.id ?? "", revision: row?.revision ?? "" }));
    await manager.saveTurn({ session: createSession({ id: "other" }), messages: [] });
    const stale = seen.map((one) => (one.id === "kept" ? { ...one, revision: "an earlier one" } : one));
    expect(await adapter.turns.remove?.(stale)).toEqual([true, false]);
    const count = (id: string) =>
      store.query("SELECT count(*)::integer AS n FROM agent_records WHERE scope LIKE '%/' || $1", [id]);
    expect(await count("removed")).toEqual([{ n: 0 }]);
    expect(await count("kept")).toEqual([{ n: 1 }]);
    await manager.close();
  });
});

describe("keys", () => {
  const keys = [
    "B",
    "a",
    "A",
    "a ",
    "a  ",
    "aa",
    "Z",
    "z",
    "ä",
    "a\u0308",
    "é",
    "_",
    "-",
    "~",
    "0",
    "9",
    "😀",
    "\uffff",
  ];

  it("are compared and ordered by bytes in a database of another order", async () => {
    const server = openPool({ max: 1 });
    const database = `records_${process.pid}`;
    await server.query(
      `CREATE DATABASE ${database} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' ENCODING 'UTF8'`,
    );
    const address = new URL(url);
    address.pathname = `/${database}`;
    const pool = openPool({ connectionString: address.href, max: 1 });
    await pool.query(tables);
    const { rows } = await pool.query<{ different: boolean }>("SELECT 'a' < 'B' AS different");
    expect(rows).toEqual([{ different: true }]);
    const prisma = new PostgreSqlClient({ adapter: new PrismaPg({ connectionString: address.href }) });
    const records = recordsOf(new PrismaAdapter({ prisma }));
    const scopes = keys.map((key) => userScope(key));
    for (const key of keys) await records.put(recordOf(userScope("x"), key), null);
    await records.apply(scopes.map((scope) => recordOf(scope, "k")));
    const inOrder = keys.toSorted(compareBytes);
    const found: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await records.list(userScope("x"), {
        limit: 3,
        ...(after === undefined ? {} : { after }),
      });
      if (page.length === 0) break;
      found.push(...page.map(({ key }) => key));
      after = found.at(-1);
    }
    expect(found).toEqual(inOrder);
    expect(await records.scopes({ limit: 100 })).toEqual([...scopes, userScope("x")].toSorted(compareBytes));
    expect((await records.scopes({ after: userScope("a"), limit: 2 })).length).toBe(2);
    for (const key of keys) expect((await records.get(userScope("x"), key))?.value).toBe(key);
    await prisma.$disconnect();
    await pool.end();
    await server.query(`DROP DATABASE ${database}`);
    await server.end();
  });

  it("a record that Waymark did not write is told as such", async () => {
    const record = { scope: "application", key: "own", revision: "r", stamp: "", place: "" };
    await store.client().agentRecord.create({ data: { ...record, value: "no JSON" } });
    await expect(recordsOf(store.connect()).get("application", "own")).rejects.toMatchObject({
      code: "STORAGE_DAMAGED",
      message: expect.stringContaining("`value`"),
    });
  });
});
