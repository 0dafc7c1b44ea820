import { setImmediate } from "node:timers/promises";
import { describe, expect, it, jest } from "@jest/globals";
import { PersistenceManager, createSession, isWaymarkError } from "@waymark/core";
import {
  type Commit,
  type Entry,
  type PersistenceAdapter,
  type SessionRow,
  createTurnStore,
  historyLog,
  sessionScope,
  systemEnvironment,
  userScope,
} from "@waymark/core/adapter";
import { type EncryptionKey, type EncryptionOptions, withEncryption } from "@waymark/core/wrap";
import * as fc from "fast-check";
import { MemoryAdapter } from "../src/index.js";

jest.setTimeout(60_000);

const { newId } = systemEnvironment;

const key = (id: string, fill: number): EncryptionKey => ({ id, key: new Uint8Array(32).fill(fill) });
const [k1, k2] = [key("k1", 1), key("k2", 2)];

const secrets = [
  "Ada Lovelace",
  "a message of hers",
  "tool-input",
  "tool-result",
  "a-custom-event",
  "diet-vegan",
];

function managerOn(adapter: PersistenceAdapter, options: Partial<EncryptionOptions> = {}) {
  return new PersistenceManager<Record<string, unknown>>({
    adapter: withEncryption(adapter, { keys: [k1], ...options }),
  });
}

/** Everything that a session can hold. */
async function fill(manager: PersistenceManager<Record<string, unknown>>, id: string): Promise<void> {
  const session = createSession<Record<string, unknown>>({ id, data: { name: "Ada Lovelace" } });
  session.routeHistory = Array.from({ length: 130 }, (_, n) => ({
    routeId: `diet-vegan ${n}`,
    enteredAt: new Date(n),
    completed: false,
  }));
  await manager.saveTurn({
    session,
    userId: "ann",
    operationId: `first ${id}`,
    messages: [
      { role: "user", content: "a message of hers", event: { kind: "a-custom-event" } },
      {
        role: "assistant",
        content: "a message of hers, answered",
        toolCalls: [{ id: "t", name: "look", input: { q: "tool-input" }, result: "tool-result" }],
      },
    ],
    records: [{ key: "diet", value: { is: "diet-vegan" } }],
  });
  await manager.saveMessage({ sessionId: id, role: "user", content: "a message of hers, alone" });
  await manager.records({ userId: "ann" }).put("diet", ["diet-vegan"]);
  await manager.records("application").put("diet", "diet-vegan");
}

function expectNoSecret(text: string): void {
  for (const secret of secrets) expect(text.includes(secret) ? secret : null).toBeNull();
}

/** What an error is, after a look whether it tells anything. */
async function failure(work: Promise<unknown>): Promise<{ code: string; sessionId: string | undefined }> {
  const error: unknown = await work.then(
    (answer) => ({ code: `no error, but ${JSON.stringify(answer)}` }),
    (thrown: unknown) => thrown,
  );
  if (!isWaymarkError(error)) throw new Error(`not one of ours: ${String(error)}`);
  expect(error.operation).not.toBe("");
  const cause = error.cause instanceof Error ? error.cause.message : "";
  expectNoSecret(`${error.message} ${cause}`);
  for (const { key } of [k1, k2]) expect(error.message).not.toContain(Buffer.from(key).toString("base64"));
  return { code: error.code, sessionId: error.sessionId };
}

async function rowOf(adapter: PersistenceAdapter, id: string): Promise<SessionRow> {
  const row = await adapter.sessionRepository.findById(id);
  if (row === null) throw new Error("there is no row");
  return row;
}

async function entriesOf(
  adapter: PersistenceAdapter,
  { id, life, last }: SessionRow,
): Promise<readonly Entry[]> {
  return adapter.messageRepository.findBySessionId(id, { log: life, from: 1, to: last });
}

describe("options", () => {
  const bytes = new Uint8Array(32);
  it.each([
    ["no keys", []],
    ["what is no list", "k1"],
    ["a short key", [{ id: "k", key: new Uint8Array(16).fill(65) }]],
    ["a key as text", [{ id: "k", key: "A".repeat(32) }]],
    ["an id twice", [key("k", 65), key("k", 66)]],
    ["an id with a colon", [{ id: "a:b", key: bytes }]],
    ["an id that is long", [{ id: "k".repeat(33), key: bytes }]],
    ["null for a key", [null]],
  ])("%s is refused, without what the key is", (_, keys) => {
    const adapter = new MemoryAdapter();
    const make = () => Reflect.apply(withEncryption, undefined, [adapter, { keys }]);
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
    expect(make).not.toThrow(/A{8}|65, ?65/);
  });

  it("refuses an unknown `plaintext`, and to encrypt twice", () => {
    const adapter = new MemoryAdapter();
    const make = () => Reflect.apply(withEncryption, undefined, [adapter, { keys: [k1], plaintext: "yes" }]);
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
    const once = withEncryption(adapter, { keys: [k1] });
    expect(() => withEncryption(once, { keys: [k1] })).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });

  it("the key may be cleared afterwards", async () => {
    const adapter = new MemoryAdapter();
    const mine = new Uint8Array(32).fill(1);
    const manager = managerOn(adapter, { keys: [{ id: "k1", key: mine }] });
    mine.fill(0);
    await fill(manager, "s");
    expect((await managerOn(adapter).loadSessionState("s"))?.data.name).toBe("Ada Lovelace");
  });

  it("says what it is made of, and has what the store has but for search", () => {
    const adapter = new MemoryAdapter();
    const encrypted = withEncryption(adapter, { keys: [k1] });
    expect(encrypted).toMatchObject({ name: "memory, encrypted", durability: "process" });
    expect([encrypted.search, encrypted.turns?.groups]).toEqual([undefined, adapter.turns?.groups]);
    expect(encrypted.limits.commitBytes).toBeLessThan(adapter.limits.commitBytes * 0.75);
  });
});

describe.each([
  ["with whole turns", [] as const],
  ["through the outbox", ["turns"] as const],
])("what is stored (%s)", (_, without) => {
  const open = () => new MemoryAdapter({ without });

  it("has nothing that anybody said, and comes back", async () => {
    const adapter = open();
    const manager = managerOn(adapter);
    await fill(manager, "s");
    await manager.flush();
    expectNoSecret(JSON.stringify(adapter.getSnapshot()));
    const row = await rowOf(adapter, "s");
    expect(row).toMatchObject({ id: "s", userId: "ann", status: "active", last: 3 });
    const history = await adapter.messageRepository.findBySessionId("s", {
      log: historyLog(row.life),
      from: 1,
      to: 99,
    });
    expect(history).toHaveLength(30);
    const reader = managerOn(adapter);
    const session = await reader.loadSessionState("s");
    expect([session?.data.name, session?.routeHistory.length]).toEqual(["Ada Lovelace", 100]);
    const messages = await reader.findMessagesBySessionId("s");
    expect(messages.map(({ content }) => content)).toEqual([
      "a message of hers",
      "a message of hers, answered",
      "a message of hers, alone",
    ]);
    expect(messages[1]?.toolCalls?.[0]?.result).toBe("tool-result");
    expect((await reader.records({ sessionId: "s" }).get("diet"))?.value).toEqual({ is: "diet-vegan" });
    expect((await reader.records({ userId: "ann" }).list())[0]?.value).toEqual(["diet-vegan"]);
  });

  it("is read with an old key, written with the first, and not read without its own", async () => {
    const adapter = open();
    await fill(managerOn(adapter), "s");
    const rotated = managerOn(adapter, { keys: [k2, k1] });
    const session = await rotated.loadSessionState("s");
    if (session === null) throw new Error("the session is gone");
    await rotated.saveTurn({ session: { ...session, data: { name: "Ada Byron" } }, messages: [] });
    await rotated.saveMessage({ sessionId: "s", role: "user", content: "new" });
    await rotated.flush();
    expect(await rotated.findMessagesBySessionId("s")).toHaveLength(4);
    expect(await failure(managerOn(adapter).loadSessionState("s"))).toEqual({
      code: "ENCRYPTION_KEY_MISSING",
      sessionId: "s",
    });
    const onlyNew = managerOn(adapter, { keys: [k2] });
    expect(await failure(onlyNew.findMessagesBySessionId("s"))).toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
    });
    // The same id, another key.
    const wrong = managerOn(adapter, { keys: [key("k2", 9), k1] });
    expect(await failure(wrong.loadSessionState("s"))).toEqual({ code: "DECRYPTION_FAILED", sessionId: "s" });
  });

  it("knows a turn that is sent again after a rotation, and from before there was a key", async () => {
    const adapter = open();
    const plain = new PersistenceManager({ adapter });
    const turn = (content: string, operationId: string) => ({
      session: createSession({ id: operationId, data: { n: 1 } }),
      operationId,
      messages: [{ role: "user" as const, content }],
    });
    const [before, first] = [turn("x", "before"), turn("y", "first")];
    await plain.saveTurn(before);
    await plain.flush();
    const accepting = { plaintext: "accept" as const };
    const old = managerOn(adapter, accepting);
    await old.saveTurn(first);
    await old.flush();
    const rotated = managerOn(adapter, { keys: [k2, k1], ...accepting });
    for (const one of [turn("x", "before"), turn("y", "first")]) {
      const again = await rotated.saveTurn(one);
      expect([again.replayed, (await rotated.findMessagesBySessionId(one.operationId)).length]).toEqual([
        true,
        1,
      ]);
    }
    expect(await failure(rotated.saveTurn(turn("z", "first")))).toMatchObject({ code: "OPERATION_MISMATCH" });
    expect(await failure(rotated.saveTurn(turn("z", "before")))).toMatchObject({
      code: "OPERATION_MISMATCH",
    });
  });

  it("is refused where it is plaintext, unless that is accepted", async () => {
    const adapter = open();
    const plain = new PersistenceManager<Record<string, unknown>>({ adapter });
    await fill(plain, "s");
    await plain.flush();
    const refusing = managerOn(adapter);
    expect(await failure(refusing.loadSessionState("s"))).toEqual({ code: "NOT_ENCRYPTED", sessionId: "s" });
    expect(await failure(refusing.records({ userId: "ann" }).get("diet"))).toMatchObject({
      code: "NOT_ENCRYPTED",
    });
    const accepting = managerOn(adapter, { plaintext: "accept" });
    expect((await accepting.loadSessionState("s"))?.data.name).toBe("Ada Lovelace");
    await accepting.saveMessage({ sessionId: "s", role: "user", content: "a message of hers, later" });
    await accepting.flush();
    expect(await accepting.findMessagesBySessionId("s")).toHaveLength(4);
    const row = await rowOf(adapter, "s");
    expectNoSecret(JSON.stringify((await entriesOf(adapter, row))[3]));
  });

  it("is no hindrance to others where it cannot be read, and can be removed", async () => {
    const store = new MemoryAdapter();
    const messages = [{ role: "user", content: "x" }] as const;
    const turn = (id: string) => ({ session: createSession({ id }), userId: "ada", messages });
    await managerOn(store).saveTurn(turn("of a key that is lost"));
    await new PersistenceManager({ adapter: store }).saveTurn(turn("plain"));
    const manager = managerOn(store, { keys: [k2] });
    await manager.saveTurn(turn("readable"));
    const ids = async () => (await manager.findSessionsByUserId("ada")).map(({ id }) => id).toSorted();
    expect(await ids()).toEqual(["of a key that is lost", "plain", "readable"]);
    for (const id of ["of a key that is lost", "plain"]) await expect(manager.open(id)).rejects.toThrow();
    expect(await manager.prune({ keepMessages: 0 })).toMatchObject({ deleted: 0, skipped: 2, trimmed: 1 });
    expect(await manager.eraseUser("ada")).toMatchObject({ sessions: 3, messages: 2 });
    expect(await ids()).toEqual([]);
    expect(store.getSnapshot()).toMatchObject({ sessions: [], messages: [] });
  });

  it("is refused where it was changed or moved", async () => {
    const adapter = open();
    const { sessionRepository: sessions, messageRepository: messages, records } = adapter;
    if (messages.replace === undefined || records === undefined) throw new Error("not such an adapter");
    const replace = messages.replace.bind(messages);
    await fill(managerOn(adapter), "s");
    await fill(managerOn(adapter), "t");
    await managerOn(adapter).saveTurn({ session: createSession({ id: "u", data: { name: "Eve" } }) });
    const [s, t] = [await rowOf(adapter, "s"), await rowOf(adapter, "t")];
    const entries = await entriesOf(adapter, s);
    const [one, two] = entries;
    if (one === undefined || two === undefined) throw new Error("there are no entries");
    const read = () => managerOn(adapter).findMessagesBySessionId("s");
    const messagesOfS: readonly (readonly [string, readonly Entry[]])[] = [
      [
        "two messages exchanged",
        [
          { ...one, body: two.body },
          { ...two, body: one.body },
        ],
      ],
      ["a bit flipped", [{ ...one, body: flipped(one.body) }]],
      ["cut short", [{ ...one, body: { "~aes": "k1:AAAA" } }]],
      ["another role", [{ ...one, role: "system" }]],
      ["another owner", [{ ...one, userId: "eve" }]],
      ["another time", [{ ...one, createdAt: one.createdAt + 1 }]],
      ["one of another session", [{ ...one, body: (await entriesOf(adapter, t))[0]?.body ?? null }]],
    ];
    for (const [what, changed] of messagesOfS) {
      await replace(changed);
      expect([what, await failure(read())]).toEqual([what, { code: "DECRYPTION_FAILED", sessionId: "s" }]);
      await replace(entries);
      await read();
    }
    await replace([{ ...one, content: "said by nobody", body: { kind: "plain" } }]);
    expect(await failure(read())).toMatchObject({ code: "NOT_ENCRYPTED" });
    await replace(entries);

    const rows: readonly (readonly [string, Partial<SessionRow>])[] = [
      ["a state of another session", { state: t.state }],
      ["another version", { version: `${s.life}.7` }],
      ["a bit flipped", { state: flipped(s.state) }],
      ["another life", { life: t.life }],
      ["a message as a state", { state: one.body }],
    ];
    for (const [what, changed] of rows) {
      const now = await rowOf(adapter, "s");
      await sessions.update({ ...s, ...changed, revision: newId() }, now.revision);
      expect([what, await failure(managerOn(adapter).loadSessionState("s"))]).toEqual([
        what,
        { code: "DECRYPTION_FAILED", sessionId: "s" },
      ]);
    }
    await sessions.update({ ...s, revision: newId() }, (await rowOf(adapter, "s")).revision);
    await sessions.create({ ...s, id: "copy", revision: newId() });
    expect(await failure(managerOn(adapter).loadSessionState("copy"))).toEqual({
      code: "DECRYPTION_FAILED",
      sessionId: "copy",
    });
    const nobody = { ...s, id: "empty", state: null, revision: newId() };
    await sessions.create(nobody);
    expect(await failure(managerOn(adapter).loadSessionState("empty"))).toMatchObject({
      code: "NOT_ENCRYPTED",
    });

    const [mine] = await records.list(userScope("ann"), { limit: 1 });
    const [ofSession] = await records.list(sessionScope("s", s.life), { limit: 1 });
    if (mine === undefined || ofSession === undefined) throw new Error("there are no records");
    await records.put({ ...mine, scope: userScope("eve") }, null);
    await records.put({ ...mine, key: "other" }, null);
    await records.put({ ...ofSession, scope: sessionScope("t", t.life), key: "moved" }, null);
    const moved = [
      managerOn(adapter).records({ userId: "eve" }).get("diet"),
      managerOn(adapter).records({ userId: "ann" }).list(),
      managerOn(adapter).records({ sessionId: "t" }).get("moved"),
    ];
    for (const work of moved) expect(await failure(work)).toMatchObject({ code: "DECRYPTION_FAILED" });
  });

  it("takes commits up to its own limit, and sends none beyond the store's", async () => {
    const adapter = open();
    const commitBytes = 70_000;
    const sizes: number[] = [];
    const measured: PersistenceAdapter = {
      ...parts(adapter),
      limits: { commitBytes },
      turns: adapter.turns && {
        ...adapter.turns,
        commit: async (commits) => {
          sizes.push(...commits.map(sizeOf));
          return (await adapter.turns?.commit(commits)) ?? [];
        },
      },
      sessionRepository: {
        ...adapter.sessionRepository,
        create: async (row) => {
          sizes.push(JSON.stringify([row.state, Reflect.get(Object(row.system), "pending")]).length);
          return adapter.sessionRepository.create(row);
        },
      },
    };
    const manager = managerOn(measured, { keys: [key("k".repeat(32), 3)] });
    const most = withEncryption(measured, { keys: [k1] }).limits.commitBytes;
    const fillers = [
      (n: number) => ({ data: { text: "x".repeat(n) }, messages: [] }),
      (n: number) => ({
        data: {},
        messages: Array.from({ length: Math.floor(n / 340) }, () => ({
          role: "user" as const,
          content: "hello",
        })),
      }),
    ];
    for (const filler of fillers) {
      let size = most;
      for (; ; size -= 97) {
        const { data, messages } = filler(size);
        const id = `${most} ${size} ${messages.length}`;
        const saved = await manager
          .saveTurn({ session: createSession<Record<string, unknown>>({ id, data }), messages })
          .then(
            () => true,
            (error: unknown) => {
              if (isWaymarkError(error) && error.code === "COMMIT_TOO_LARGE") return false;
              throw error;
            },
          );
        if (saved) break;
      }
      expect(size).toBeGreaterThan(most * 0.9);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(commitBytes);
    expect(Math.max(...sizes)).toBeGreaterThan(commitBytes * 0.9);
  });

  it("a session made again by another process is the one that an append goes to", async () => {
    const adapter = open();
    const [one, other] = [managerOn(adapter), managerOn(adapter)];
    await one.saveTurn({
      session: createSession({ id: "s" }),
      messages: [
        { role: "user", content: "1" },
        { role: "user", content: "2" },
      ],
    });
    await one.flush();
    await other.deleteSession("s");
    await other.saveTurn({
      session: createSession({ id: "s" }),
      messages: [{ role: "user", content: "new" }],
    });
    await other.flush();
    await one.saveMessage({ sessionId: "s", role: "user", content: "next" });
    await one.flush();
    const messages = await managerOn(adapter).findMessagesBySessionId("s");
    expect(messages.map(({ content }) => content)).toEqual(["new", "next"]);
  });
});

it("what is pending in a row is encrypted, and is delivered by whoever comes", async () => {
  const adapter = new MemoryAdapter({ without: ["turns"] });
  const stuck: PersistenceAdapter = {
    ...parts(adapter),
    messageRepository: {
      ...adapter.messageRepository,
      insert: () => Promise.reject(new Error("no room")),
    },
    records: adapter.records && { ...adapter.records, apply: () => Promise.reject(new Error("no room")) },
  };
  const session = createSession<Record<string, unknown>>({ id: "s", data: { name: "Ada Lovelace" } });
  await managerOn(stuck).saveTurn({
    session,
    messages: [{ role: "user", content: "a message of hers" }],
    records: [{ key: "diet", value: "diet-vegan" }],
  });
  const row = await rowOf(adapter, "s");
  expect([row.dirty, adapter.getSnapshot().messages.length]).toEqual([true, 0]);
  expectNoSecret(JSON.stringify(adapter.getSnapshot()));
  const reader = managerOn(adapter);
  expect((await reader.findMessagesBySessionId("s"))[0]?.content).toBe("a message of hers");
  expect((await reader.records({ sessionId: "s" }).get("diet"))?.value).toBe("diet-vegan");
  // Without a key it is delivered too, as it is.
  await createTurnStore(adapter, systemEnvironment).drain("s", { deadline: Date.now() + 10_000 });
  expect((await rowOf(adapter, "s")).dirty).toBe(false);
  expect((await managerOn(adapter).findMessagesBySessionId("s"))[0]?.content).toBe("a message of hers");
  expectNoSecret(JSON.stringify(adapter.getSnapshot()));
});

it("no two ciphertexts are the same, and digests are only for the same operation", async () => {
  const adapter = new MemoryAdapter();
  const encrypted = withEncryption(adapter, { keys: [k1] });
  const entry = (sequence: number): Entry => ({
    ...{ sessionId: "s", log: "life", sequence, userId: null, role: "user" },
    ...{ content: "yes", createdAt: 1, body: {} },
  });
  await encrypted.messageRepository.insert([entry(1), entry(2)]);
  const [one, two] = await adapter.messageRepository.findBySessionId("s", { log: "life", from: 1, to: 2 });
  expect(one?.body).not.toEqual(two?.body);
  const commit = (id: string): Commit => ({
    ...{ id, expect: { kind: "create", life: newId(), createdAt: 1 }, revision: newId(), at: 1 },
    ...{ operation: { id: "o", digest: "0123456789abcdef" }, set: {}, messages: [], history: [] },
  });
  await encrypted.turns?.commit([commit("a"), commit("b")]);
  const digests = await Promise.all(["a", "b"].map(async (id) => (await rowOf(adapter, id)).system));
  expect(JSON.stringify(digests)).not.toContain("0123456789abcdef");
  expect(digests[0]).not.toEqual(digests[1]);
});

it("sessions that write at the same time reach the store together", async () => {
  const adapter = new MemoryAdapter();
  const { turns } = adapter;
  if (turns === undefined) throw new Error("not such an adapter");
  const sizes: number[] = [];
  let loads = 0;
  const grouping: PersistenceAdapter = {
    ...parts(adapter),
    turns: {
      ...turns,
      groups: true,
      commit: async (commits) => {
        sizes.push(commits.length);
        await setImmediate();
        return turns.commit(commits);
      },
      load: (id, options) => {
        loads++;
        return turns.load(id, options);
      },
    },
  };
  const manager = managerOn(grouping);
  const turnsOf = async (_: unknown, n: number) => {
    const session = createSession<Record<string, unknown>>({ id: `s${n}`, data: {} });
    for (let turn = 0; turn < 10; turn++) {
      session.data["turn"] = turn;
      await manager.saveTurn({ session, messages: [{ role: "user", content: "x" }] });
    }
  };
  await Promise.all(Array.from({ length: 32 }, turnsOf));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(320);
  // Two writes at a time share 32, so there are 20 where nobody comes late.
  expect(sizes.length).toBeLessThan(60);
  expect(loads).toBe(0);
});

it("whatever JSON is written is read", async () => {
  const adapter = new MemoryAdapter();
  const encrypted = withEncryption(adapter, { keys: [k1], plaintext: "accept" });
  const hostile = fc.constantFrom(
    ...["~aes", "~aes:k1:AAAA", "k1:AAAA", "", "\0", "\ud800", "__proto__", "\u2028", '"', "😀"],
  );
  const text = fc.oneof(hostile, fc.string({ unit: "binary" }));
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
      text,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(text, tie("value"), { maxKeys: 4 }).map((found) => JSON.parse(JSON.stringify(found))),
    ),
  })).value;
  let count = 0;
  await fc.assert(
    fc.asyncProperty(json, json, text, async (state, body, content) => {
      const id = `s${++count}`;
      const [own, beside] = [JSON.parse(JSON.stringify(state)), JSON.parse(JSON.stringify(body))];
      const row: SessionRow = {
        ...{ id, life: "life", revision: newId(), version: "life.1", userId: content, agentName: null },
        ...{ status: "active", first: 1, last: 1, lastMessageAt: 1, createdAt: 1, updatedAt: 1 },
        ...{ completedAt: null, expiresAt: null, route: content, step: null, dirty: false },
        ...{ state: own, system: beside },
      };
      const entry: Entry = {
        ...{ sessionId: id, log: "life", sequence: 1, userId: content, role: content },
        ...{ content, createdAt: 1, body: beside },
      };
      await encrypted.sessionRepository.create(row);
      await encrypted.messageRepository.insert([entry]);
      expect(await encrypted.sessionRepository.findById(id)).toEqual(row);
      const found = await encrypted.messageRepository.findBySessionId(id, { log: "life", from: 1, to: 1 });
      expect(found).toEqual([entry]);
      if (own === null) return;
      const record = { scope: id, key: "k", value: own, revision: newId(), stamp: "1" };
      await encrypted.records?.put(record, null);
      expect(await encrypted.records?.get(id, "k")).toEqual(record);
    }),
    { numRuns: 150 },
  );
});

/** An adapter's members, where a spread would lose what stands on its prototype. */
function parts(adapter: MemoryAdapter): PersistenceAdapter {
  const { name, durability, limits, sessionRepository, messageRepository, turns, records } = adapter;
  return { name, durability, limits, sessionRepository, messageRepository, turns, records };
}

function sizeOf({ set, messages, history }: Commit): number {
  const texts = [...messages, ...history].map(
    ({ content, body }) => JSON.stringify([content, body]).length + 300,
  );
  return (set.state === undefined ? 0 : JSON.stringify(set.state).length) + texts.reduce((a, b) => a + b, 0);
}

/** The ciphertext with one bit of it changed. */
function flipped(sealed: unknown): { "~aes": string } {
  const text = String(Reflect.get(Object(sealed), "~aes"));
  const at = text.length - 9;
  return { "~aes": text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1) };
}
