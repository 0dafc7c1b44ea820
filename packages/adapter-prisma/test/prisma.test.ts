import { afterAll, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { type Commit, type Entry, type Json, historyLog } from "@waymark/core/adapter";
import { PrismaAdapter, type PrismaAdapterOptions, type PrismaClientLike } from "../src/index.js";
import { OwnClient, type PostgreSqlClient, PrismaPg } from "./clients.mjs";
import { openSchema, tables, url } from "./postgres.js";
import { openFile } from "./sqlite.js";

jest.setTimeout(120_000);

const said = (content: string) => ({ role: "user", content }) as const;

let store: Awaited<ReturnType<typeof openSchema>>;
beforeAll(async () => {
  store = await openSchema("own");
});
afterAll(() => store.remove());

let names = 0;
const newName = (prefix: string) => `${prefix}${names++}`;

function commitOf(id: string, contents: readonly string[], fields: Partial<Commit> = {}): Commit {
  return {
    id,
    expect: { kind: "append" },
    operation: { id: newName("o"), digest: "" },
    revision: newName("r"),
    at: 1,
    set: {},
    messages: contents.map((content) => ({
      userId: null,
      role: "user",
      content,
      createdAt: 1,
      body: {},
    })),
    history: [],
    ...fields,
  };
}

const creation = (id: string, contents: readonly string[], fields: Partial<Commit> = {}): Commit =>
  commitOf(id, contents, {
    expect: { kind: "create", life: newName("l"), createdAt: 1 },
    ...fields,
  });

/** A client that tells of each call. */
function counting(client: PostgreSqlClient) {
  const calls: string[] = [];
  const extended = client.$extends({
    query: {
      $allModels: {
        $allOperations({ model, operation, args, query }) {
          calls.push(`${model}.${operation}`);
          return query(args);
        },
      },
    },
  });
  return { calls, client: extended };
}

describe("calls", () => {
  it("a turn is one call of the client, at the start and later, and so is a load", async () => {
    const { client, calls } = counting(store.client());
    const manager = new PersistenceManager({
      adapter: new PrismaAdapter({ prisma: client }),
    });
    const id = newName("s");
    const session = createSession<{ turn: number }>({ id });
    await manager.saveTurn({ session, messages: [said("0")] });
    expect(calls.filter((call) => call.endsWith(".create"))).toEqual(["AgentSession.create"]);
    for (let turn = 1; turn < 40; turn++) {
      session.data.turn = turn;
      calls.length = 0;
      await manager.saveTurn({
        session,
        messages: [said("q"), { role: "assistant", content: "a" }],
      });
      expect(calls).toEqual(["AgentSession.update"]);
    }
    calls.length = 0;
    expect((await manager.open(id, { last: 50 }))?.messages.length).toBe(50);
    expect(calls).toEqual(["AgentSession.findUnique"]);
    await manager.close();
  });

  it("a turn of a session that another process wrote is looked at again", async () => {
    const { client, calls } = counting(store.client());
    const [mine, other] = [new PrismaAdapter({ prisma: client }), store.connect()];
    await mine.initialize();
    const id = newName("s");
    await mine.turns.commit([creation(id, ["1"])]);
    await other.turns.commit([commitOf(id, ["2"])]);
    calls.length = 0;
    expect(await mine.turns.commit([commitOf(id, ["3"])])).toMatchObject([{ first: 3, last: 3 }]);
    expect(calls).toEqual(["AgentSession.update", "AgentSession.findUnique", "AgentSession.update"]);
  });

  it("removing many sessions is one transaction, which takes those that were seen", async () => {
    const { client, calls } = counting(store.client());
    const adapter = new PrismaAdapter({ prisma: client });
    const ids = [newName("s"), newName("s"), newName("s")];
    const commits = ids.map((id) => creation(id, ["1", "2"]));
    await adapter.turns.commit(commits);
    const seen = commits.map(({ id, revision }) => ({ id, revision }));
    await store.connect().turns.commit([commitOf(ids[1] ?? "", ["3"])]);
    calls.length = 0;
    expect(await adapter.turns.remove?.(seen)).toEqual([true, false, true]);
    expect(calls).toEqual([
      "AgentSession.findMany",
      ...ids.map(() => "AgentSession.deleteMany"),
      "AgentRecord.deleteMany",
    ]);
    expect(await adapter.turns.load(ids[0] ?? "", { last: 1 })).toBeNull();
    expect((await adapter.turns.load(ids[1] ?? "", { last: 9 }))?.entries.length).toBe(3);
    const left = await store.query(
      "SELECT count(*)::integer AS n FROM agent_messages WHERE session_id = $1",
      [ids[0]],
    );
    expect(left).toEqual([{ n: 0 }]);
  });
});

describe("entries", () => {
  it("route history among the newest entries hides no message", async () => {
    const adapter = store.connect();
    const id = newName("s");
    const history = Array.from({ length: 30 }, (_, index) => ({
      ...{ userId: null, role: "route", content: "", createdAt: 1, body: {} },
      sequence: index + 1,
    }));
    await adapter.turns.commit([creation(id, ["1", "2", "3"], { history })]);
    const loaded = await adapter.turns.load(id, { last: 2 });
    expect(loaded?.entries.map(({ content }) => content)).toEqual(["2", "3"]);
    const log = historyLog(loaded?.row.life ?? "");
    expect(
      (
        await adapter.messageRepository.findBySessionId(id, {
          log,
          from: 1,
          to: 99,
        })
      ).length,
    ).toBe(30);
  });

  it("a load beside turns is always one that there was", async () => {
    const [writer, reader] = [store.connect(), store.connect()];
    const id = newName("s");
    await writer.turns.commit([creation(id, ["1"])]);
    const done = new AbortController();
    const writing = (async () => {
      for (let turn = 2; turn <= 60; turn++) await writer.turns.commit([commitOf(id, [`${turn}`])]);
      done.abort();
    })();
    const loads: (readonly string[])[] = [];
    while (!done.signal.aborted) {
      const loaded = await reader.turns.load(id, { last: 5 });
      const last = loaded?.row.last ?? 0;
      const expected = Array.from(
        { length: Math.min(5, last) },
        (_, index) => last - Math.min(5, last) + 1 + index,
      );
      const contents = loaded?.entries.map(({ content }) => content) ?? [];
      expect(contents).toEqual(expected.map(String));
      loads.push(contents);
    }
    await writing;
    expect(loads.length).toBeGreaterThan(0);
  });

  it("a message whose key is taken stays, and the turn is stored", async () => {
    const adapter = store.connect();
    const id = newName("s");
    const [made] = await adapter.turns.commit([creation(id, ["1"])]);
    const log = made?.status === "committed" ? made.life : "";
    const early: Entry = {
      ...{ sessionId: id, log, sequence: 2, userId: null, role: "user" },
      ...{ content: "early", createdAt: 1, body: {} },
    };
    await adapter.messageRepository.insert([early]);
    expect(await adapter.turns.commit([commitOf(id, ["2", "3"])])).toMatchObject([{ first: 2, last: 3 }]);
    const loaded = await adapter.turns.load(id, { last: 9 });
    expect(loaded?.entries.map(({ content }) => content)).toEqual(["1", "early", "3"]);
  });

  it("entries of a session that is gone are not kept, and no error", async () => {
    const { messageRepository: messages } = store.connect();
    const id = newName("s");
    const late: Entry = {
      ...{ sessionId: id, log: "l", sequence: 1, userId: null, role: "user" },
      ...{ content: "late", createdAt: 1, body: {} },
    };
    await messages.insert([late]);
    expect(await messages.findBySessionId(id, { log: "l", from: 1, to: 9 })).toEqual([]);
  });
});

describe("values", () => {
  const odd: readonly Json[] = [
    ...[null, 0, 236447.66666666666, 5e-324, -1.7e308, true, "", "null", [], [null], [0.1, 1e21]],
    ...[{}, { "~value": 1 }, { set: 1 }, { equals: null }, { $type: "Json", value: "1" }, { toJSON: 1 }],
    { deep: { number: 236447.66666666666, list: [{ a: null }], "": 1 } },
  ];

  it.each(odd.map((value) => [JSON.stringify(value), value] as const))(
    "%s is a state and a body like another",
    async (_, value) => {
      const adapter = store.connect();
      const id = newName("s");
      const messages = [
        {
          userId: null,
          role: "user",
          content: "",
          createdAt: 1,
          body: { event: value },
        },
      ];
      await adapter.turns.commit([creation(id, [], { set: { state: value }, messages })]);
      const loaded = await adapter.turns.load(id, { last: 1 });
      const isWrapped = JSON.stringify(value) === '{"~value":1}';
      // The one shape that core never makes: its keys do not begin so.
      expect(loaded?.row.state).toEqual(isWrapped ? 1 : value);
      expect(loaded?.entries[0]?.body).toEqual({ event: value });
      const [revision = ""] = [loaded?.row.revision];
      if (loaded !== null)
        expect(await adapter.sessionRepository.update({ ...loaded.row, state: null }, revision)).toBe(true);
      expect((await adapter.sessionRepository.findById(id))?.state).toBeNull();
    },
  );

  it("the application reads what was said by its own client", async () => {
    const client = store.client();
    const manager = new PersistenceManager({
      adapter: store.connect({ prisma: client }),
    });
    const id = newName("s");
    const session = createSession({ id, data: { name: "Ann" } });
    const toolCalls = [{ id: "t", name: "look", input: { at: 1 } }];
    const message = {
      ...said("Hi"),
      route: "book",
      step: "when",
      toolCalls,
      event: { kind: "x" },
    };
    await manager.saveTurn({ session, messages: [message] });
    const found = await client.agentSession.findFirst({
      where: { collectedData: { path: ["data", "name"], equals: "Ann" } },
      include: { messages: true },
    });
    expect(found).toMatchObject({
      id,
      messageCount: 1,
      messages: [
        {
          role: "user",
          content: "Hi",
          route: "book",
          step: "when",
          toolCalls,
          event: { kind: "x" },
        },
      ],
    });
    await manager.close();
  });

  it("of a message that is replaced, no copy is left as it was", async () => {
    const client = store.client();
    const adapter = store.connect({ prisma: client });
    const id = newName("s");
    await adapter.turns.commit([creation(id, [])]);
    const row = await adapter.sessionRepository.findById(id);
    const toolCalls = [{ id: "t", name: "look", input: { at: 1 } }];
    const entry: Entry = {
      ...{ sessionId: id, log: row?.life ?? "", sequence: 1, userId: null, role: "user", content: "Hi" },
      ...{ createdAt: 1, body: { route: "book", step: "when", toolCalls, event: { kind: "x" } } },
    };
    const other = { ...entry, content: "", body: { sealed: "text" } };
    await adapter.messageRepository.insert([entry]);
    expect(await adapter.messageRepository.replace?.([other])).toBe(1);
    const range = { log: entry.log, from: 1, to: 1 };
    expect(await adapter.messageRepository.findBySessionId(id, range)).toEqual([other]);
    const found = await client.agentMessage.findFirst({ where: { sessionId: id } });
    expect(found).toMatchObject({ content: "", route: null, step: null, toolCalls: [], event: {} });
  });

  it("a row that Waymark did not write is told as such", async () => {
    const id = newName("s");
    const client = store.client();
    await client.agentSession.create({
      data: { id, collectedData: { name: "Ann" } },
    });
    await expect(store.connect().turns.load(id, { last: 1 })).rejects.toMatchObject({
      code: "STORAGE_DAMAGED",
      message: expect.stringContaining("`system`"),
    });
  });
});

describe("names", () => {
  const sessions = {
    ...{
      userId: "user_id",
      agentName: "agent_name",
      currentRoute: "current_route",
      currentStep: "current_step",
    },
    ...{
      collectedData: "collected_data",
      messageCount: "message_count",
      lastMessageAt: "last_message_at",
    },
    ...{
      completedAt: "completed_at",
      createdAt: "created_at",
      updatedAt: "updated_at",
    },
    ...{
      firstSequence: "first_sequence",
      expiresAt: "expires_at",
      messages: "said",
    },
  };
  const messages = {
    sessionId: "session_id",
    userId: "user_id",
    toolCalls: "tool_calls",
    createdAt: "created_at",
  };
  const own: Omit<PrismaAdapterOptions, "prisma"> = {
    tables: { sessions: "Conversation", messages: "utterances" },
    fieldMappings: { sessions, messages },
  };
  const noted = {
    tables: { ...own.tables, records: "Note" },
    fieldMappings: { ...own.fieldMappings, records: { key: "name", value: "json" } },
  };
  const ownTables = `${tables
    .replaceAll("agent_sessions", "conversations")
    .replaceAll("agent_messages", "utterances")
    .replaceAll("agent_records", "notes")};
    ALTER TABLE conversations ADD COLUMN tenant text NOT NULL DEFAULT 'none';
    ALTER TABLE notes RENAME COLUMN key TO name;
    ALTER TABLE notes RENAME COLUMN value TO json;
    ALTER TABLE notes ADD COLUMN "madeAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP`;

  let schema: Awaited<ReturnType<typeof openSchema>>;
  let prisma: OwnClient;
  beforeAll(async () => {
    schema = await openSchema("names", ownTables);
    prisma = new OwnClient({
      adapter: new PrismaPg({ connectionString: url }, { schema: schema.schema }),
    });
  });
  afterAll(async () => {
    await prisma.$disconnect();
    await schema.remove();
  });

  const problemOf = async (options: Partial<PrismaAdapterOptions>): Promise<string> => {
    try {
      await new PrismaAdapter({ prisma, ...own, ...options }).initialize();
      return "none";
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID_CONFIGURATION" });
      return error instanceof Error ? error.message : "";
    }
  };

  it("models and fields of other names are used as they are called", async () => {
    const adapter = new PrismaAdapter({ prisma, ...own });
    const manager = new PersistenceManager({ adapter });
    await adapter.initialize();
    const session = createSession({ id: "s", data: { name: "Ann" } });
    await manager.saveTurn({ session, userId: "ann", messages: [said("1")] });
    session.data.name = "Bob";
    await manager.saveTurn({ session, messages: [said("2")] });
    expect((await manager.open("s"))?.messages.map(({ content }) => content)).toEqual(["1", "2"]);
    expect((await manager.findSessionsByUserId("ann")).map(({ id }) => id)).toEqual(["s"]);
    expect(await prisma.conversation.findUnique({ where: { id: "s" } })).toMatchObject({
      user_id: "ann",
      message_count: 2,
      tenant: "none",
    });
    expect(await manager.deleteSession("s")).toBe(true);
    await manager.close();
  });

  it("a schema without a model for records goes on as it was, and keeps none", async () => {
    const adapter = new PrismaAdapter({ prisma, ...own });
    await adapter.initialize();
    expect(adapter.records).toBeUndefined();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "unnoted" });
    await manager.saveTurn({ session, messages: [said("1")] });
    const records = [{ key: "k", value: 1 }];
    await expect(manager.saveTurn({ session, messages: [said("2")], records })).rejects.toMatchObject({
      code: "CAPABILITY_MISSING",
    });
    expect(await manager.deleteSession("unnoted")).toBe(true);
    await manager.close();
  });

  it("a model for records of another name is used as it is called", async () => {
    const adapter = new PrismaAdapter({ prisma, ...noted });
    await adapter.initialize();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "noted" });
    await manager.saveTurn({ session, messages: [said("1")], records: [{ key: "k", value: { a: 1 } }] });
    const records = manager.records({ sessionId: "noted" });
    expect((await records.get("k"))?.value).toEqual({ a: 1 });
    expect(await prisma.note.findMany()).toMatchObject([{ name: "k", json: '{"a":1}' }]);
    expect(await manager.deleteSession("noted")).toBe(true);
    expect(await prisma.note.count()).toBe(0);
    await manager.close();
  });

  it("a model for records that does not fit is told with the lines to paste", async () => {
    const records = (model: string, mapping = {}) =>
      problemOf({
        tables: { ...own.tables, records: model },
        fieldMappings: { ...own.fieldMappings, records: mapping },
      });
    expect(await records("Nothing")).toContain("no model `Nothing`");
    const lacks = await records("Note");
    expect(lacks).toContain("`Note` lacks fields");
    expect(lacks).toContain("\n  key String\n  value String?\n");
    expect(await records("Note", { ...noted.fieldMappings.records, stamp: "madeAt" })).toContain(
      "the field `madeAt` of `Note` is DateTime and has to be String",
    );
    expect(await records("KeylessNote")).toContain("\n  @@id([scope, key])\n");
  });

  it("a model that is not there is named", async () => {
    expect(
      await problemOf({
        tables: { sessions: "Conversation", messages: "Nothing" },
      }),
    ).toContain("no model `Nothing`");
    expect(
      await problemOf({
        tables: { sessions: "$transaction", messages: "utterances" },
      }),
    ).toContain("no model `$transaction`");
  });

  it("fields that are missing are named, with the lines to paste", async () => {
    const problem = await problemOf({
      tables: { sessions: "OldSession", messages: "OldMessage" },
      fieldMappings: { sessions: { life: "epoch" } },
    });
    expect(problem).toContain("`OldSession` lacks fields");
    expect(problem).toContain('\n  epoch String @default("")\n  revision String @default("")\n');
    expect(problem).toContain("\n  expiresAt DateTime?\n");
    expect(problem).not.toContain("userId");
  });

  it("a session whose id is a number is refused", async () => {
    const tables = { sessions: "NumberSession", messages: "NumberMessage" };
    const problem = await problemOf({ tables, fieldMappings: {} });
    expect(problem).toContain(
      "the field `id` of `NumberSession` is Int and has to be String; the id of a session",
    );
    expect(problem).toContain("\n  id String @id\n");
  });

  it("each field of another type, and one that is optional or required and must not be, is told", async () => {
    const problem = await problemOf({
      tables: { sessions: "WrongSession", messages: "WrongMessage" },
      fieldMappings: {},
    });
    const wrong = {
      ...{ userId: "Int and has to be String", agentName: "required and has to be optional" },
      ...{ status: "optional and has to be required", currentRoute: "Boolean and has to be String" },
      ...{ currentStep: "required and has to be optional", collectedData: "required and has to be optional" },
      ...{ messageCount: "String and has to be Int", lastMessageAt: "Int and has to be DateTime" },
      ...{ completedAt: "String and has to be DateTime", createdAt: "Int and has to be DateTime" },
      ...{ updatedAt: "optional and has to be required", life: "Int and has to be String" },
      ...{ revision: "Json and has to be String", version: "BigInt and has to be String" },
      ...{ firstSequence: "BigInt and has to be Int", expiresAt: "required and has to be optional" },
      ...{ dirty: "Int and has to be Boolean", system: "Json and has to be String" },
    };
    for (const [field, what] of Object.entries(wrong))
      expect(problem).toContain(`the field \`${field}\` of \`WrongSession\` is ${what}`);
    expect(problem.match(/the field /g)?.length).toBe(Object.keys(wrong).length);
    expect(problem).toContain('\n  status String @default("active")\n  currentRoute String?\n');
    const inMessages = await problemOf({
      tables: { ...own.tables, messages: "WrongMessage" },
      fieldMappings: { sessions },
    });
    const wrongInMessages = {
      ...{ sessionId: "Int and has to be String", role: "Int and has to be String" },
      ...{ content: "optional and has to be required", route: "Json and has to be String" },
      ...{ step: "required and has to be optional", toolCalls: "String and has to be Json" },
      ...{ event: "required and has to be optional", createdAt: "String and has to be DateTime" },
      ...{ log: "optional and has to be required", sequence: "BigInt and has to be Int" },
      ...{ body: "Json and has to be String", userId: "required and has to be optional" },
    };
    for (const [field, what] of Object.entries(wrongInMessages))
      expect(inMessages).toContain(`the field \`${field}\` of \`WrongMessage\` is ${what}`);
    expect(inMessages.match(/the field /g)?.length).toBe(Object.keys(wrongInMessages).length);
  });

  it("a relation and a key that are missing are told with the lines to paste", async () => {
    const { messages: _, ...unmapped } = sessions;
    expect(await problemOf({ fieldMappings: { sessions: unmapped, messages } })).toContain(
      "\n  messages utterances[]\n",
    );
    const keyless = {
      tables: { sessions: "Conversation", messages: "KeylessMessage" },
      fieldMappings: { sessions },
    };
    expect(await problemOf(keyless)).toContain("\n  @@unique([sessionId, sequence, log])\n");
  });

  it("a mapping that can mean nothing is refused at once", () => {
    const wrong = [
      { sessions: { nothing: "x" } },
      { sessions: { userId: "agentName" } },
      { messages: { body: 7 } },
      { messages: { id: "key" } },
    ];
    for (const fieldMappings of wrong)
      expect(
        () =>
          new PrismaAdapter({
            prisma,
            ...JSON.parse(JSON.stringify({ fieldMappings })),
          }),
      ).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
  });

  it("tables that are missing are told as such", async () => {
    await expect(store.connect({ prisma, ...own }).initialize()).resolves.toBeUndefined();
    const empty = await openSchema("empty", "");
    await expect(empty.connect().initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("migrate the database"),
    });
    await empty.remove();
  });
});

it("what the application's own constraints refuse is an error, and no answer", async () => {
  const own = `CREATE TABLE users (id text PRIMARY KEY); INSERT INTO users VALUES ('ann');
    ALTER TABLE agent_sessions ADD FOREIGN KEY (user_id) REFERENCES users (id);
    ALTER TABLE agent_messages ADD FOREIGN KEY (user_id) REFERENCES users (id);
    CREATE UNIQUE INDEX ON agent_sessions (agent_name)`;
  const strict = await openSchema("strict", `${tables};${own}`);
  const adapter = strict.connect();
  const statusOf = async (commit: Commit) => {
    const [outcome] = await adapter.turns.commit([commit]);
    return outcome?.status === "failed" ? outcome.error : outcome?.status;
  };
  const refused = expect.objectContaining({
    code: "STORAGE_FAILED",
    retryable: false,
  });
  expect(await statusOf(creation("a", [], { set: { userId: "ann", agentName: "x" } }))).toBe("committed");
  expect(await statusOf(creation("b", [], { set: { userId: "bob" } }))).toEqual(refused);
  expect(await statusOf(creation("b", [], { set: { agentName: "x" } }))).toEqual(refused);
  expect(await statusOf(creation("b", [], { set: { agentName: "y" } }))).toBe("committed");
  expect(await statusOf(commitOf("b", ["1"], { set: { agentName: "x" } }))).toEqual(refused);
  expect(await statusOf(commitOf("b", [], { set: { agentName: "x" } }))).toEqual(refused);
  const [message] = commitOf("b", ["1"]).messages;
  if (message === undefined) throw new Error("no message");
  const ofBob = { ...message, userId: "bob" };
  expect(await statusOf(commitOf("b", [], { messages: [ofBob] }))).toEqual(refused);
  const late = adapter.messageRepository.insert([{ ...ofBob, sessionId: "b", log: "l", sequence: 1 }]);
  await expect(late).rejects.toEqual(refused);
  expect((await adapter.turns.load("b", { last: 9 }))?.entries).toEqual([]);
  await strict.remove();
});

describe("the application's own transaction", () => {
  const booking = (id: string) => ({
    data: { id, system: "no session of Waymark's" },
  });

  it("a turn by its client is stored with what else it writes, or not at all", async () => {
    const prisma = store.client();
    const [kept, undone] = [newName("s"), newName("s")];
    const save = (id: string, fails: boolean) =>
      prisma.$transaction(async (tx) => {
        const persistence = new PersistenceManager({
          adapter: new PrismaAdapter({ prisma: tx }),
        });
        const session = createSession({ id });
        await persistence.saveTurn({ session, messages: [said("1")] });
        session.data = { n: 2 };
        await persistence.saveTurn({ session, messages: [said("2")] });
        await tx.agentSession.create(booking(`booking of ${id}`));
        await persistence.close();
        if (fails) throw new Error("undone");
      });
    await save(kept, false);
    await expect(save(undone, true)).rejects.toThrow("undone");
    const manager = new PersistenceManager({ adapter: store.connect() });
    expect((await manager.loadSessionHistory(kept)).map(({ content }) => content)).toEqual(["1", "2"]);
    expect(await manager.loadSessionState(undone)).toBeNull();
    const bookings = await prisma.agentSession.findMany({
      where: { id: { startsWith: "booking of" } },
    });
    expect(bookings.map(({ id }) => id)).toEqual([`booking of ${kept}`]);
    await prisma.agentSession.deleteMany({
      where: { id: { startsWith: "booking of" } },
    });
    await manager.close();
  });

  it("after a rollback, a session from outside is loaded again before it is used", async () => {
    const prisma = store.client();
    const manager = new PersistenceManager({ adapter: store.connect({ prisma }) });
    const id = newName("s");
    const session = createSession<{ n: number }>({ id });
    await manager.saveTurn({ session, messages: [said("1")] });
    const stored = session.version;
    const undone = prisma.$transaction(async (tx) => {
      const inside = new PersistenceManager({ adapter: new PrismaAdapter({ prisma: tx }) });
      session.data.n = 2;
      await inside.saveTurn({ session, messages: [said("undone")] });
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    expect(session.version).not.toBe(stored);
    session.data.n = 3;
    await expect(manager.saveTurn({ session, messages: [said("2")] })).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    const again = await manager.loadSessionState(id);
    if (again === null) throw new Error("no session");
    expect([again.version, again.data]).toEqual([stored, {}]);
    again.data = { n: 3 };
    await manager.saveTurn({ session: again, messages: [said("2")] });
    // Somebody else has come to the number of the version that was undone.
    await expect(manager.saveTurn({ session, messages: [said("lost")] })).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    expect((await manager.open(id))?.messages.map(({ content }) => content)).toEqual(["1", "2"]);
    await manager.close();
  });

  it("a removal and a turn with records by its client are undone with it", async () => {
    const [removed, made] = [newName("s"), newName("s")];
    const commit = creation(removed, ["1"]);
    await store.connect().turns.commit([commit]);
    const undone = store.client().$transaction(async (tx) => {
      const inside = new PrismaAdapter({ prisma: tx });
      expect(await inside.turns.remove?.([commit])).toEqual([true]);
      await inside.turns.commit([creation(made, ["1"], { records: [{ key: "k", value: 1 }] })]);
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    const { turns, records } = store.connect();
    expect((await turns.load(removed, { last: 1 }))?.entries.length).toBe(1);
    expect(await turns.load(made, { last: 1 })).toBeNull();
    expect((await records?.scopes({ limit: 1000 }))?.filter((scope) => scope.endsWith(`/${made}`))).toEqual(
      [],
    );
  });

  it("on SQLite, too, a turn with records is stored with it, or not at all", async () => {
    const file = await openFile();
    const prisma = file.client();
    for (const fails of [false, true]) {
      const work = prisma.$transaction(async (tx) => {
        const inside = new PersistenceManager({ adapter: new PrismaAdapter({ prisma: tx }) });
        const session = createSession({ id: `${fails}` });
        await inside.saveTurn({ session, messages: [said("1")], records: [{ key: "k", value: 1 }] });
        session.data = { n: 2 };
        await inside.saveTurn({ session, messages: [said("2")] });
        if (fails) throw new Error("undone");
      });
      await (fails ? expect(work).rejects.toThrow("undone") : work);
    }
    const { turns, records } = file.connect();
    expect((await turns.load("false", { last: 9 }))?.entries.length).toBe(2);
    expect(await turns.load("true", { last: 9 })).toBeNull();
    expect((await records?.scopes({ limit: 9 }))?.length).toBe(1);
    await file.remove();
  });

  it("turns in it with records, at once, are stored one after the other, each as a whole or not at all", async () => {
    const [first, second, refused] = [newName("s"), newName("s"), newName("s")];
    const strict = await openSchema("parts", `${tables}; ALTER TABLE agent_records ADD CHECK (key <> 'no')`);
    await strict.client().$transaction(async (tx) => {
      const inside = new PrismaAdapter({ prisma: tx });
      const outcomes = await inside.turns.commit([
        creation(first, ["1"], { records: [{ key: "k", value: 1 }] }),
        creation(refused, ["1"], { records: [{ key: "no", value: 1 }] }),
        creation(second, ["1"], { records: [{ key: "k", value: 1 }] }),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(["committed", "failed", "committed"]);
    });
    const { turns, records } = strict.connect();
    expect((await turns.load(first, { last: 1 }))?.entries.length).toBe(1);
    expect((await turns.load(second, { last: 1 }))?.entries.length).toBe(1);
    expect(await turns.load(refused, { last: 1 })).toBeNull();
    expect((await records?.scopes({ limit: 9 }))?.length).toBe(2);
    await strict.remove();
  });

  it("turns in it of two adapters at once are stored one after the other too", async () => {
    const ids = Array.from({ length: 6 }, () => newName("s"));
    await store.client().$transaction(async (tx) => {
      const inside = [new PrismaAdapter({ prisma: tx }), new PrismaAdapter({ prisma: tx })];
      const stored = ids.map((id, index) => {
        const commit = creation(id, ["1"], { records: [{ key: "k", value: index }] });
        return inside[index % 2]?.turns.commit([commit]);
      });
      for (const outcomes of await Promise.all(stored))
        expect(outcomes).toMatchObject([{ status: "committed" }]);
    });
    const { turns } = store.connect();
    for (const id of ids) expect((await turns.load(id, { last: 1 }))?.entries.length).toBe(1);
  });

  it("a turn in it that somebody else was faster than is looked at again", async () => {
    const id = newName("s");
    const outside = store.connect();
    await outside.turns.commit([creation(id, ["1"])]);
    await store.client().$transaction(async (tx) => {
      const inside = new PrismaAdapter({ prisma: tx });
      await inside.turns.load(id, { last: 0 });
      await outside.turns.commit([commitOf(id, ["2"])]);
      expect(await inside.turns.commit([commitOf(id, ["3"])])).toMatchObject([{ first: 3, last: 3 }]);
    });
    const loaded = await outside.turns.load(id, { last: 9 });
    expect(loaded?.entries.map(({ content }) => content)).toEqual(["1", "2", "3"]);
  });
});

it("the generated client fits as it is, whatever its models are called", () => {
  const fits = (client: PostgreSqlClient): PrismaClientLike => client;
  const fitsWithOtherNames = (client: OwnClient): PrismaClientLike => client;
  const client = store.client();
  expect(fits(client)).toBe(client);
  expect(fitsWithOtherNames).toBeDefined();
});

it("the server is named", async () => {
  expect(await store.connect().describe()).toMatchObject({
    server: expect.stringMatching(/^PostgreSQL \d/),
    writable: true,
  });
});
