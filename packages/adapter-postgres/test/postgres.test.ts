import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import {
  type Commit,
  type Filter,
  createTurnStore,
  encodeCursor,
  operationWindow,
  systemEnvironment,
} from "@waymark/core/adapter";
import { Client, escapeIdentifier, types } from "pg";
import { type PostgresClient, type PostgresStatement, PostgreSQLAdapter, printSchema } from "../src/index.js";
import { openSchema, url } from "./server.js";

const store = openSchema("own");
const said = (content: string) => ({ role: "user", content }) as const;

beforeAll(() => store.connect().initialize());
afterAll(() => store.remove());

let names = 0;
const newName = (prefix: string) => `${prefix}${names++}`;
const sessions = (count: number) =>
  Array.from({ length: count }, () => {
    const id = newName("s");
    return { id, session: createSession({ id }) };
  });

function append(id: string, content: string): Commit {
  return {
    id,
    expect: { kind: "append" },
    operation: { id: newName("o"), digest: "" },
    revision: newName("r"),
    at: 1,
    set: {},
    messages: [{ userId: null, role: "user", content, createdAt: 1, body: {} }],
    history: [],
  };
}

/** Sessions that are stored, by their ids. */
async function stored(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newName("s"));
  await store
    .connect()
    .turns.commit(
      ids.map((id) => ({ ...append(id, "0"), expect: { kind: "create", life: newName("l"), createdAt: 1 } })),
    );
  return ids;
}

/** Counts what is sent; `names` are those of prepared statements. */
function counting(client: PostgresClient) {
  const sent: (string | undefined)[] = [];
  const query = (statement: string | { name?: string }): Promise<never> => {
    sent.push(typeof statement === "string" ? undefined : statement.name);
    return client.query(statement as never) as Promise<never>;
  };
  return { sent, client: { query } };
}

describe("clients", () => {
  it("a pool of one connection is enough, and stays open", async () => {
    const pool = store.pool({ max: 1 });
    const adapter = store.connect({ client: pool });
    const manager = new PersistenceManager({ adapter });
    const many = sessions(32);
    await Promise.all(many.map(({ session }) => manager.saveTurn({ session, messages: [said("1")] })));
    await Promise.all(many.map(({ session }) => manager.saveTurn({ session, messages: [said("2")] })));
    const loaded = await Promise.all(many.map(({ id }) => manager.open(id)));
    expect(loaded.map((each) => each?.messages.length)).toEqual(many.map(() => 2));
    await manager.close();
    expect((await pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  });

  it("a single client is enough, and stays open", async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    const manager = new PersistenceManager({ adapter: store.connect({ client }) });
    const id = newName("s");
    const session = createSession({ id });
    await manager.saveTurn({ session, messages: [said("1")] });
    expect(await manager.loadSessionState(id)).toEqual(session);
    await manager.close();
    await client.query("SELECT 1");
    await client.end();
  });

  it.each([true, false])("statements have names if they may be prepared: %s", async (preparedStatements) => {
    const { client, sent } = counting(store.pool());
    const adapter = store.connect({ client, preparedStatements });
    const [id = ""] = await stored(1);
    sent.length = 0;
    await adapter.turns.commit([append(id, "1")]);
    await adapter.turns.load(id, { last: 10 });
    await adapter.sessionRepository.findById(id);
    expect(sent.map((name) => name !== undefined)).toEqual([1, 2, 3].map(() => preparedStatements));
  });

  it("type parsers of the application change nothing", async () => {
    const [id = ""] = await stored(1);
    const before = await store.connect().turns.load(id, { last: 1 });
    const oids = [20, 114, 1184, 3802];
    const kept = oids.map((type) => [type, types.getTypeParser(type)] as const);
    try {
      for (const type of oids) types.setTypeParser(type, () => "mine");
      expect(await store.connect().turns.load(id, { last: 1 })).toEqual(before);
    } finally {
      for (const [type, parser] of kept) types.setTypeParser(type, parser as (value: string) => unknown);
    }
  });
});

describe("round trips", () => {
  it("a turn is one statement, at the start and later, and so is a load", async () => {
    const { client, sent } = counting(store.pool());
    const manager = new PersistenceManager({ adapter: store.connect({ client }) });
    const id = newName("s");
    const session = createSession<{ turn: number }>({ id });
    await manager.saveTurn({ session, messages: [said("0")] });
    for (let turn = 1; turn < 40; turn++) {
      session.data.turn = turn;
      sent.length = 0;
      await manager.saveTurn({ session, messages: [said("q"), { role: "assistant", content: "a" }] });
      expect(sent.length).toBe(1);
    }
    sent.length = 0;
    expect((await manager.open(id, { last: 50 }))?.messages.length).toBe(50);
    expect(sent.length).toBe(1);
  });

  it("operations come back in their order, however many there were", async () => {
    const [id = ""] = await stored(1);
    const adapter = store.connect();
    for (let count = 2; count <= 40; count++) {
      const { operation } = append(id, "");
      await adapter.turns.commit([{ ...append(id, "x"), operation }]);
      const row = await adapter.sessionRepository.findById(id);
      expect(row?.system).toMatchObject({ count, operations: { length: Math.min(count, operationWindow) } });
      expect(JSON.stringify(row?.system)).toContain(`{"id":"${operation.id}","digest":"","from":`);
      const sequences = [...JSON.stringify(row?.system).matchAll(/"first":(\d+)/g)].map(([, n]) => Number(n));
      expect(sequences).toEqual(sequences.map((_, index) => count - sequences.length + index + 1));
      // A write of the row puts them where the next turn looks for the oldest.
      if (row !== null && count % 7 === 0)
        expect(await adapter.sessionRepository.update({ ...row, revision: newName("r") }, row.revision)).toBe(
          true,
        );
    }
  });

  it("many turns at once are one statement", async () => {
    const { client, sent } = counting(store.pool());
    const adapter = store.connect({ client });
    const ids = await stored(32);
    const outcomes = await adapter.turns.commit(ids.map((id) => append(id, "1")));
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => "committed"));
    expect(sent.length).toBe(1);
  });
});

describe("groups", () => {
  it("one commit that PostgreSQL refuses fails alone", async () => {
    const adapter = store.connect();
    const turns = createTurnStore(adapter, systemEnvironment);
    const ids = await stored(32);
    const patience = { deadline: Date.now() + 60_000, signal: undefined };
    const results = await Promise.allSettled(
      ids.map((id, index) =>
        turns.inOrder(id, (commit) => commit(append(id, index === 7 ? "a\0b" : "ok"), patience)),
      ),
    );
    const failed = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    expect(failed).toEqual([expect.objectContaining({ code: "STORAGE_FAILED", retryable: false })]);
    expect(failed[0].message).not.toContain("a\0b");
    for (const [index, id] of ids.entries()) {
      const loaded = await adapter.turns.load(id, { last: 10 });
      expect(loaded?.entries.map(({ content }) => content)).toEqual(index === 7 ? ["0"] : ["0", "ok"]);
    }
  });

  it("a message whose key is taken stays, and the turn and its neighbours are stored", async () => {
    const adapter = store.connect();
    const ids = await stored(4);
    const [taken = ""] = ids;
    const row = await adapter.sessionRepository.findById(taken);
    const key = { sessionId: taken, log: row?.life ?? "", sequence: 2 };
    const early = { ...key, userId: null, role: "user", content: "early", createdAt: 1, body: {} };
    await adapter.messageRepository.insert([early]);
    const outcomes = await adapter.turns.commit(ids.map((id) => append(id, "1")));
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => "committed"));
    for (const id of ids) {
      const loaded = await adapter.turns.load(id, { last: 10 });
      expect(loaded?.entries.map(({ content }) => content)).toEqual(["0", id === taken ? "early" : "1"]);
    }
    const next = await adapter.turns.commit(ids.map((id) => append(id, "2")));
    expect(next).toMatchObject(ids.map(() => ({ status: "committed", first: 3, last: 3 })));
  });

  it("groups of the same sessions in any order do not deadlock", async () => {
    const ids = await stored(24);
    const adapters = [store.connect(), store.connect()];
    const counts = new Map<string, number>();
    const send = async (adapter: PostgreSQLAdapter, order: string[]) => {
      const outcomes = await adapter.turns.commit(order.map((id) => append(id, "x")));
      outcomes.forEach(({ status }, index) => {
        expect(["committed", "busy"]).toContain(status);
        const id = order[index] ?? "";
        if (status === "committed") counts.set(id, (counts.get(id) ?? 0) + 1);
      });
    };
    for (let round = 0; round < 30; round++)
      await Promise.all(
        adapters.flatMap((adapter) => [
          send(adapter, ids),
          send(adapter, ids.toReversed()),
          send(adapter, ids),
        ]),
      );
    for (const id of ids) {
      const loaded = await adapters[0]?.turns.load(id, { last: 1000 });
      expect(loaded?.row.last).toBe((counts.get(id) ?? 0) + 1);
      expect(loaded?.entries.length).toBe(loaded?.row.last);
    }
  }, 60_000);

  it("creates of the same ids in any order do not deadlock", async () => {
    const adapters = [store.connect(), store.connect()];
    for (let round = 0; round < 10; round++) {
      const ids = Array.from({ length: 20 }, () => newName("s"));
      const create = (id: string): Commit => ({
        ...append(id, "0"),
        expect: { kind: "create", life: newName("l"), createdAt: 1 },
      });
      const orders = [ids, ids.toReversed()];
      const outcomes = await Promise.all(
        adapters.map((adapter, index) => adapter.turns.commit((orders[index] ?? ids).map(create))),
      );
      const all = outcomes.flat().map(({ status }) => status);
      expect(all.filter((status) => status === "committed").length).toBe(20);
      expect(all.filter((status) => status === "exists").length).toBe(20);
    }
  }, 60_000);

  it("a group that a taken key has refused is stored all the same, though its locks may outlive its error", async () => {
    const ids = await stored(3);
    const [first = ""] = ids;
    const life = (await store.connect().turns.load(first, { last: 0 }))?.row.life ?? "";
    const taken = { sessionId: first, log: life, sequence: 2, userId: null, role: "user", createdAt: 1 };
    await store.connect().messageRepository.insert([{ ...taken, content: "there before", body: {} }]);
    const pool = store.pool();
    const holder = await pool.connect();
    let isHeld = false;
    const isWaitedFor = async () => {
      for (;;) {
        const { rows } = await pool.query("SELECT 1 FROM pg_locks WHERE NOT granted");
        if (rows.length > 0) return;
      }
    };
    // The refused statement holds the row until something waits for it, or has gone on without it.
    const query = async (statement: string | { text: string }): Promise<never> => {
      const answer = pool.query(statement as never) as Promise<never>;
      if (isHeld && JSON.stringify(statement).includes("UPDATE")) {
        await Promise.race([answer, isWaitedFor()]);
        await holder.query("COMMIT");
        isHeld = false;
      }
      return answer.catch(async (error: unknown) => {
        await holder.query("BEGIN");
        await holder.query(`SELECT 1 FROM "${store.schema}".agent_sessions WHERE id = $1 FOR UPDATE`, [
          first,
        ]);
        isHeld = true;
        throw error;
      });
    };
    const adapter = store.connect({ client: { query } });
    const outcomes = await adapter.turns.commit(ids.map((id) => append(id, "2")));
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => "committed"));
    holder.release();
  });

  it("what of a refused group is sent again alone names its session", async () => {
    const [refused = "", other = ""] = await stored(2);
    const created = newName("s");
    const create: Commit = {
      ...append(created, "0"),
      expect: { kind: "create", life: newName("l"), createdAt: 1 },
    };
    const tooEarly = append(refused, "1");
    const messages = tooEarly.messages.map((message) => ({ ...message, createdAt: -8.64e15 }));
    const outcomes = await store
      .connect()
      .turns.commit([create, { ...tooEarly, messages }, append(other, "1")]);
    expect(outcomes).toMatchObject([
      { status: "committed" },
      { status: "failed", error: { code: "STORAGE_FAILED", sessionId: refused } },
      { status: "committed" },
    ]);
  });

  it("what was not in a refused group waits for nobody", async () => {
    const [taken = "", free = "", held = ""] = await stored(3);
    const adapter = store.connect();
    const life = (await adapter.turns.load(taken, { last: 0 }))?.row.life ?? "";
    const entry = { sessionId: taken, log: life, sequence: 2, userId: null, role: "user", createdAt: 1 };
    await adapter.messageRepository.insert([{ ...entry, content: "there before", body: {} }]);
    const holder = await store.pool().connect();
    await holder.query("BEGIN");
    await holder.query(`SELECT 1 FROM "${store.schema}".agent_sessions WHERE id = $1 FOR UPDATE`, [held]);
    try {
      // A number of operations is not compared by the statement.
      const exact: Commit = { ...append(held, "1"), expect: { kind: "append", operations: 1 } };
      const outcomes = await adapter.turns.commit([append(taken, "1"), append(free, "1"), exact]);
      expect(outcomes.map(({ status }) => status)).toEqual(["committed", "committed", "busy"]);
    } finally {
      await holder.query("ROLLBACK");
      holder.release();
    }
  });

  it("a row that the application has locked holds up no neighbour", async () => {
    const [held = "", free = ""] = await stored(2);
    const holder = await store.pool().connect();
    await holder.query("BEGIN");
    await holder.query(`SELECT 1 FROM "${store.schema}".agent_sessions WHERE id = $1 FOR UPDATE`, [held]);
    try {
      const outcomes = await store.connect().turns.commit([append(held, "1"), append(free, "1")]);
      expect(outcomes.map(({ status }) => status)).toEqual(["busy", "committed"]);
    } finally {
      await holder.query("ROLLBACK");
      holder.release();
    }
  });
});

describe("indexes", () => {
  const many = openSchema("many");
  afterAll(() => many.remove());

  /** A minute apart, 50 of a user; one in a hundred expires. */
  const fill = `INSERT INTO agent_sessions (id, life, user_id, created_at, first_sequence, operation_ids, operations,
      operation_count, revision, version, status, last_sequence, updated_at, expires_at, dirty, state)
    SELECT 's' || n, 'l', 'u' || n % 400, now() - n * interval '1 minute', 1, '{}', '{}', 0, 'r', 'l.0',
      CASE WHEN n % 1000 = 7 THEN 'deleting' ELSE 'active' END, 0, now() - n * interval '1 minute',
      CASE WHEN n % 100 = 0 THEN now() + n * interval '1 minute' END, n % 1000 = 8, '{}'
    FROM generate_series(1, 100000) n`;

  it("no query looks at all rows, and no ordinary turn touches one of them", async () => {
    const plans: string[] = [];
    const pool = many.pool({ max: 1, options: `-c search_path=${many.schema}` });
    const adapter = many.connect({ client: pool });
    await adapter.initialize();
    await pool.query(fill);
    await pool.query("ANALYZE agent_sessions");
    const explaining: PostgresClient = {
      query: async (statement: string | PostgresStatement): Promise<never> => {
        if (typeof statement === "string") throw new Error("not expected");
        const { text, values } = statement;
        const { rows } = await pool.query<[string]>({ text: `EXPLAIN ${text}`, values, rowMode: "array" });
        plans.push(rows.map(([line]) => line).join("\n"));
        return { rows: [], rowCount: 0 } as never;
      },
    };
    const { sessionRepository: sessions } = many.connect({ client: explaining });
    const now = Date.now();
    const day = 24 * 60 * 60 * 1000;
    const cursor = encodeCursor({ createdAt: now - day, id: "s1440" });
    const filters: readonly Filter[] = [
      {},
      { userId: "u7" },
      { userId: "u7", status: ["active"], expiresAfter: now },
      { userId: "u7", updatedBefore: now - day },
      { updatedBefore: now - 13 * day },
      { updatedAfter: now - day },
      { expiresBefore: now + day / 24 },
      { status: ["deleting"] },
      { dirty: true, updatedBefore: now - 60_000 },
    ];
    for (const filter of filters) {
      await sessions.find(filter, { limit: 50 });
      await sessions.find(filter, { limit: 50, cursor });
    }
    await sessions.findById("s1");
    expect(plans).toHaveLength(2 * filters.length + 1);
    for (const plan of plans) expect(plan).not.toMatch(/Seq Scan/);

    const changed = () =>
      many.query(
        "SELECT n_tup_upd::integer AS all, n_tup_hot_upd::integer AS in_page FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'agent_sessions'",
        [many.schema],
      );
    const manager = new PersistenceManager<{ turn: number }>({ adapter, expireAfterMs: 30 * day });
    const session = createSession<{ turn: number }>({ id: "talk" });
    for (let turn = 0; turn <= 20; turn++) {
      session.data.turn = turn;
      await manager.saveTurn({ session, messages: [said("hi"), said("again")] });
    }
    await pool.query("SELECT pg_stat_force_next_flush()");
    const [counts] = await changed();
    expect(counts?.["all"]).toBe(20);
    // A page that happens to be full moves the row once.
    expect(Number(counts?.["in_page"])).toBeGreaterThanOrEqual(18);
    await manager.close();
  }, 60_000);
});

describe("records of turns", () => {
  it("are written by the statement of the turn, in a group too, and others do without it", async () => {
    const { sent, client } = counting(store.pool());
    const adapter = store.connect({ client });
    const ids = await stored(8);
    const commits = ids.map((id, n) => {
      const records = n % 2 === 0 ? [{ key: "k", value: { n } }] : undefined;
      return { ...append(id, "1"), records };
    });
    const [first, second] = commits;
    if (first === undefined || second === undefined) throw new Error("there are eight");
    const statuses = async (list: readonly Commit[]) =>
      (await adapter.turns.commit(list)).map(({ status }) => status);
    expect(await statuses([first])).toEqual(["committed"]);
    expect(await statuses([second])).toEqual(["committed"]);
    expect(sent).toHaveLength(2);
    expect(new Set(sent).size).toBe(2);
    expect(await statuses(commits.slice(2))).toEqual(commits.slice(2).map(() => "committed"));
    expect(sent).toHaveLength(3);
    const manager = new PersistenceManager({ adapter });
    for (const [n, id] of ids.entries()) {
      const found = await manager.records({ sessionId: id }).list();
      expect(found.map(({ value }) => value)).toEqual(n % 2 === 0 ? [{ n }] : []);
    }
  });
});

describe("tables", () => {
  it("are made once by eight processes at once", async () => {
    const fresh = openSchema("many");
    const entry = new URL("./process-entry.mjs", import.meta.url).href;
    const program = `const { default: connect } = await import(${JSON.stringify(entry)});
      const adapter = connect({ schema: ${JSON.stringify(fresh.schema)} });
      await adapter.describe();
      await new Promise((resolve) => setTimeout(resolve, ${Date.now() + 2500} - Date.now()));
      await adapter.initialize();
      process.exit(0);`;
    const codes = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" });
        const [code]: unknown[] = await once(child, "exit");
        return code;
      }),
    );
    expect(codes).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const made = await fresh.query("SELECT indexname FROM pg_indexes WHERE schemaname = $1 ORDER BY 1", [
      fresh.schema,
    ]);
    expect(made.map(({ indexname }) => indexname)).toEqual([
      "agent_messages_pkey",
      "agent_records_pkey",
      "agent_sessions_created_idx",
      "agent_sessions_deleting_idx",
      "agent_sessions_dirty_idx",
      "agent_sessions_expires_idx",
      "agent_sessions_pkey",
      "agent_sessions_updated_idx",
      "agent_sessions_user_idx",
    ]);
    expect(await fresh.connect().describe()).toMatchObject({ schemaVersion: 2, writable: true });
    await fresh.remove();
  }, 30_000);

  it("of the first form, without records, get them, and keep all that is in them", async () => {
    const old = openSchema("old");
    const before = old.connect();
    await before.initialize();
    const session = createSession({ id: "s", data: { n: 1 } });
    await new PersistenceManager({ adapter: before }).saveTurn({ session, messages: [said("kept")] });
    await old.query(`DROP TABLE "${old.schema}".agent_records`);
    await old.query(`COMMENT ON TABLE "${old.schema}".agent_sessions IS 'waymark schema 1'`);
    const adapters = [old.connect(), old.connect(), old.connect()];
    expect(await adapters[0]?.describe()).toMatchObject({ schemaVersion: 1, writable: false });
    await Promise.all(adapters.map((adapter) => adapter.initialize()));
    for (const adapter of adapters) {
      expect(await adapter.describe()).toMatchObject({ schemaVersion: 2, writable: true });
      const manager = new PersistenceManager({ adapter });
      expect((await manager.open("s"))?.messages.map(({ content }) => content)).toEqual(["kept"]);
      const loaded = await manager.loadSessionState("s");
      if (loaded === null) throw new Error("the session is there");
      await manager.saveTurn({ session: loaded, records: [{ key: "k", value: 1 }] });
      expect((await manager.records({ sessionId: "s" }).get("k"))?.value).toBe(1);
    }
    await old.remove();
  });

  it("of a newer form are left as they are, and nothing is written", async () => {
    const newer = openSchema("newer");
    await newer.connect().initialize();
    await newer.query(`COMMENT ON TABLE "${newer.schema}".agent_sessions IS 'waymark schema 99'`);
    for (const initialize of ["migrate", "verify"] as const) {
      await expect(newer.connect({ initialize }).initialize()).rejects.toMatchObject({
        code: "STATE_TOO_NEW",
        message: expect.stringContaining("schema 99"),
      });
    }
    expect(await newer.connect().describe()).toMatchObject({ schemaVersion: 99, writable: false });
    await newer.remove();
  });

  it.each(["agent_sessions", "agent_messages", "agent_records"])(
    "of somebody else are left as they are: %s",
    async (table) => {
      const foreign = openSchema("foreign");
      await foreign.query(`CREATE SCHEMA "${foreign.schema}"`);
      await foreign.query(`CREATE TABLE "${foreign.schema}"."${table}" (id integer, note text)`);
      await foreign.query(`INSERT INTO "${foreign.schema}"."${table}" VALUES (1, 'ours')`);
      await expect(foreign.connect().initialize()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining(`"${table}"`),
      });
      const tables = await foreign.query("SELECT tablename FROM pg_tables WHERE schemaname = $1", [
        foreign.schema,
      ]);
      expect(tables).toEqual([{ tablename: table }]);
      expect(await foreign.query(`SELECT * FROM "${foreign.schema}"."${table}"`)).toEqual([
        { id: 1, note: "ours" },
      ]);
      await foreign.remove();
    },
  );

  it("that somebody else has where older tables get their records are left as they are", async () => {
    const old = openSchema("old_foreign");
    await old.connect().initialize();
    await old.query(`DROP TABLE "${old.schema}".agent_records`);
    await old.query(`CREATE TABLE "${old.schema}".agent_records (song text)`);
    await old.query(`COMMENT ON TABLE "${old.schema}".agent_sessions IS 'waymark schema 1'`);
    await expect(old.connect().initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining('"agent_records"'),
    });
    await old.connect({ tables: { records: "waymark_records" } }).initialize();
    await old.remove();
  });

  it("are made by printed statements, run twice, for a role that may only use them", async () => {
    const printed = openSchema("printed");
    const role = `${printed.schema}_role`;
    await printed.query(`CREATE ROLE "${role}"`);
    try {
      const pool = printed.pool({ max: 1, options: `-c role=${role}` });
      const limited = (initialize: "migrate" | "verify" | "none") =>
        printed.connect({ client: pool, initialize });
      const missing = await limited("verify")
        .initialize()
        .catch((error: unknown) => error);
      expect(missing).toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("printSchema()"),
      });
      await expect(limited("migrate").initialize()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("the role may not do this"),
      });
      await limited("none").initialize();

      const text = printSchema({ schema: printed.schema });
      await printed.query(text);
      await printed.query(text);
      await printed.query(`GRANT USAGE ON SCHEMA "${printed.schema}" TO "${role}"`);
      const tables = ["agent_sessions", "agent_messages", "agent_records"].map(
        (name) => `"${printed.schema}".${name}`,
      );
      await printed.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables.join(", ")} TO "${role}"`);
      for (const initialize of ["verify", "migrate"] as const) {
        const manager = new PersistenceManager({ adapter: limited(initialize) });
        const session = createSession({ id: `by ${initialize}` });
        await manager.saveTurn({ session, messages: [said("1")], records: [{ key: "k", value: 1 }] });
        expect((await manager.open(session.id ?? ""))?.messages).toHaveLength(1);
        expect(await manager.deleteSession(session.id ?? "")).toBe(true);
        expect((await manager.prune()).next).toBeNull();
      }
    } finally {
      await printed.query(`DROP SCHEMA IF EXISTS "${printed.schema}" CASCADE`);
      await printed.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
      await printed.remove();
    }
  });

  it("are not asked for with another word than the three", () => {
    expect(() => store.connect({ initialize: JSON.parse('"yes"') })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it("are made by many connections of one process at once", async () => {
    const fresh = openSchema("at_once");
    await Promise.all(Array.from({ length: 8 }, () => fresh.connect().initialize()));
    await fresh.remove();
  });

  it.each([
    {
      schema: 'Sch"ema of "Ann"',
      sessions: 'Ses"sions',
      messages: "it's \\ Messages",
      records: "Rec'\"ords",
    },
    { schema: "$1", sessions: "select", messages: "ünï; DROP", records: "$2" },
    {
      schema: "long",
      sessions: "a".repeat(63),
      messages: `${"a".repeat(62)}b`,
      records: `${"a".repeat(62)}c`,
    },
  ])("may have any name: $sessions", async ({ schema, ...tables }) => {
    const client = store.pool();
    const adapter = new PostgreSQLAdapter({ client, schema, tables });
    try {
      await adapter.initialize();
      await adapter.initialize();
      const manager = new PersistenceManager({ adapter });
      const id = newName("s");
      const session = createSession({ id });
      await manager.saveTurn({ session, messages: [said("1")] });
      await manager.saveTurn({ session, messages: [said("2")], records: [{ key: "k", value: 1 }] });
      expect((await manager.open(id))?.messages.length).toBe(2);
      expect((await manager.records({ sessionId: id }).get("k"))?.value).toBe(1);
      const { rows } = await client.query("SELECT tablename FROM pg_tables WHERE schemaname = $1", [schema]);
      expect(rows.map(({ tablename }) => tablename).toSorted()).toEqual(Object.values(tables).toSorted());
      const indexes = await client.query("SELECT 1 FROM pg_indexes WHERE schemaname = $1", [schema]);
      expect(indexes.rows.length).toBe(9);
    } finally {
      await client.query(`DROP SCHEMA IF EXISTS ${escapeIdentifier(schema)} CASCADE`);
    }
  });

  it("of records beside sessions of another name are called after them", async () => {
    const { schema } = store;
    const adapter = store.connect({ tables: { sessions: "other", messages: "other_messages" } });
    await adapter.initialize();
    const found = await store.query("SELECT to_regclass($1) IS NOT NULL AS found", [
      `"${schema}".other_records`,
    ]);
    expect(found).toEqual([{ found: true }]);
    expect(() => store.connect({ tables: { records: "agent_messages" } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it.each(["", "a".repeat(64), "a\0b"])("refuse a name that PostgreSQL would change: %j", (name) => {
    const client = store.pool();
    for (const options of [
      { schema: name },
      { tables: { sessions: name } },
      { tables: { messages: name } },
      { tables: { records: name } },
    ])
      expect(() => new PostgreSQLAdapter({ client, ...options })).toThrow(
        expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
      );
  });
});
