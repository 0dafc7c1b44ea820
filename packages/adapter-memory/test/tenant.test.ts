import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import {
  type Filter,
  type SessionRow,
  applicationScope,
  compareBytes,
  compareFound,
  matches,
  sessionScope,
  systemEnvironment,
  userScope,
  utf8Length,
} from "@waymark/core/adapter";
import { withRetry, withTenant } from "@waymark/core/wrap";
import * as fc from "fast-check";
import { MemoryAdapter } from "../src/index.js";

const said = (content: string) => ({ role: "user", content }) as const;

function managerOf(adapter: PersistenceAdapter, tenant: string): PersistenceManager {
  return new PersistenceManager({ adapter: withTenant(adapter, tenant) });
}

/** Managers of two tenants on one adapter. */
function twoOn(adapter: PersistenceAdapter) {
  return [managerOf(adapter, "acme"), managerOf(adapter, "globex")] as const;
}

async function fill(manager: PersistenceManager, by: string): Promise<void> {
  const session = createSession({ id: "s", data: { by } });
  const records = [{ key: "k", value: by }];
  await manager.saveTurn({ session, userId: "ann", messages: [said(`hello of ${by}`)], records });
  await manager.records({ userId: "ann" }).put("k", by);
  await manager.records("application").put("k", by);
}

async function seenBy(manager: PersistenceManager) {
  const record = async (of: Parameters<PersistenceManager["records"]>[0]) =>
    (await manager.records(of).get("k"))?.value ?? null;
  return {
    data: (await manager.loadSessionState("s", { userId: "ann" }))?.data,
    texts: (await manager.loadSessionHistory("s")).map(({ content }) => content),
    list: (await manager.findSessionsByUserId("ann")).map(({ id, userId }) => [id, userId]),
    active: (await manager.findActiveSessionByUserId("ann"))?.id,
    records: [await record({ sessionId: "s" }), await record({ userId: "ann" }), await record("application")],
  };
}

const all = (by: string) => ({
  ...{ data: { by }, texts: [`hello of ${by}`], list: [["s", "ann"]], active: "s", records: [by, by, by] },
});

describe.each([
  ["whole turns", () => new MemoryAdapter()],
  ["the outbox", () => new MemoryAdapter({ without: ["turns"] })],
])("tenants with the same ids and users, by %s", (_, open) => {
  it("see what is theirs", async () => {
    const memory = open();
    const [one, two] = twoOn(memory);
    await fill(one, "one");
    await fill(two, "two");
    expect(await seenBy(one)).toEqual(all("one"));
    expect(await seenBy(two)).toEqual(all("two"));
    const { sessions, messages, records } = memory.getSnapshot();
    expect(sessions.map(({ id, userId }) => [id, userId])).toEqual([
      ["acme/s", "acme/ann"],
      ["globex/s", "globex/ann"],
    ]);
    await one.flush();
    expect(memory.getSnapshot().messages.map(({ sessionId }) => sessionId)).toContain("acme/s");
    expect(messages.length + records.length).toBeGreaterThan(0);
  });

  it("delete and erase what is theirs", async () => {
    const memory = open();
    const [one, two] = twoOn(memory);
    await fill(one, "one");
    await fill(two, "two");
    expect(await one.deleteSession("s")).toBe(true);
    expect(await one.deleteSession("s")).toBe(false);
    expect(await seenBy(two)).toEqual(all("two"));
    await fill(one, "one again");
    expect(await one.eraseUser("ann")).toMatchObject({ sessions: 1, records: 1 });
    expect(await seenBy(one)).toMatchObject({ texts: [], list: [], records: [null, null, "one again"] });
    expect(await seenBy(two)).toEqual(all("two"));
  });

  it("prune what is theirs; the adapter's own manager does it for all", async () => {
    const memory = open();
    const [one, two] = twoOn(memory);
    for (const manager of [one, two]) await fill(manager, "somebody");
    expect(await one.prune({ status: "active" })).toMatchObject({ deleted: 1, next: null });
    expect(await one.loadSessionState("s")).toBeNull();
    expect(await two.loadSessionState("s")).not.toBeNull();
    await fill(one, "one");
    await two.flush();
    await one.flush();
    const ours = new PersistenceManager({ adapter: memory });
    expect(await ours.prune({ status: "active" })).toMatchObject({ deleted: 2 });
    expect(await two.loadSessionState("s")).toBeNull();
    const { sessions, messages, records } = memory.getSnapshot();
    expect([sessions, messages]).toEqual([[], []]);
    expect(records.map(({ scope }) => scope).toSorted(compareBytes)).toEqual([
      "application/acme",
      "application/globex",
      "user/acme/ann",
      "user/globex/ann",
    ]);
  });
});

it("a search names nobody else's sessions in its cursors, and its pages have each hit once", async () => {
  const memory = new MemoryAdapter();
  const [one, two] = twoOn(memory);
  for (let n = 0; n < 20; n++) {
    const messages = [{ ...said("hello"), createdAt: new Date(1000 - (n % 3)) }];
    await (n % 4 === 0 ? one : two).saveTurn({ session: createSession({ id: `s${n}` }), messages });
  }
  for (const limit of [1, 2, 3, 4]) {
    const found: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await one.search({ text: "hello", limit, ...(cursor === undefined ? {} : { cursor }) });
      found.push(...page.map(({ sessionId }) => sessionId));
      cursor = page.next;
      if (cursor !== null) expect(cursor).toMatch(/\.s(0|4|8|12|16)$/);
    }
    expect(found.toSorted()).toEqual(["s0", "s12", "s16", "s4", "s8"]);
  }
});

it("what a tenant's row still holds is delivered by the adapter's own manager to where it belongs", async () => {
  const memory = new MemoryAdapter({ without: ["turns"] });
  const dead: PersistenceAdapter = {
    ...{ name: "m", durability: "process", limits: memory.limits, records: memory.records },
    sessionRepository: memory.sessionRepository,
    messageRepository: { ...memory.messageRepository, insert: () => new Promise(() => {}) },
  };
  const stopped = new PersistenceManager({ adapter: withTenant(dead, "acme") });
  const session = createSession({ id: "s" });
  const records = [{ key: "k", value: 1 }];
  await stopped.saveTurn({ session, userId: "ann", messages: [said("pending")], records });
  expect(memory.getSnapshot()).toMatchObject({ sessions: [{ dirty: true }], messages: [] });

  const later = { now: () => Date.now() + 3_600_000 };
  const ours = new PersistenceManager({ adapter: memory, environment: { ...systemEnvironment, ...later } });
  expect(await ours.prune()).toMatchObject({ delivered: 1 });
  const stored = memory.getSnapshot();
  expect(stored.sessions).toMatchObject([{ dirty: false }]);
  expect(stored.messages).toMatchObject([{ sessionId: "acme/s", userId: "acme/ann" }]);
  expect(stored.records).toMatchObject([{ scope: sessionScope("acme/s", stored.sessions[0]?.life ?? "") }]);
  const again = managerOf(memory, "acme");
  expect(await again.loadSessionHistory("s")).toMatchObject([{ content: "pending" }]);
});

it("finds by text what is its own", async () => {
  const memory = new MemoryAdapter();
  const [one, two] = twoOn(memory);
  for (let n = 0; n < 5; n++) {
    await two.saveTurn({ session: createSession({ id: `t${n}` }), messages: [said("a word")] });
    await one.saveTurn({
      session: createSession({ id: `s${n}` }),
      userId: n === 0 ? "ann" : "bob",
      messages: [said("a word")],
    });
  }
  const { search } = withTenant(memory, "acme");
  const found = async (query: object) => {
    const ids: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await search?.query({ text: "word", limit: 2, ...query, ...(cursor && { cursor }) });
      ids.push(...(page?.items.map(({ sessionId }) => sessionId) ?? []));
      cursor = page?.next ?? null;
    }
    return ids.toSorted();
  };
  expect(await found({})).toEqual(["s0", "s1", "s2", "s3", "s4"]);
  expect(await found({ userId: "ann" })).toEqual(["s0"]);
  expect(await found({ sessionId: "s3" })).toEqual(["s3"]);
  expect(await found({ sessionId: "t3" })).toEqual([]);
});

describe("names of tenants", () => {
  const hostile = ["a", "a/b", "a%2Fb", "a%", "a%25", "%", "/", "//", "..", "a b", "ä", "😀", "A", "user/a"];

  it("keep all ids apart, whatever they are", async () => {
    const memory = new MemoryAdapter();
    const ids = ["c", "b/c", "/c", "2Fb/c", "a/c", "a", "/", "%2F", "b%2Fc"];
    for (const tenant of hostile) {
      const { sessionRepository } = withTenant(memory, tenant);
      for (const id of ids) expect(await sessionRepository.create(rowOf(id, { userId: tenant }))).toBe(true);
    }
    expect(memory.getSnapshot().sessions).toHaveLength(hostile.length * ids.length);
    for (const tenant of hostile) {
      const { sessionRepository } = withTenant(memory, tenant);
      const { items } = await sessionRepository.find({}, { limit: 100 });
      expect(items.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
      expect(new Set(items.map(({ userId }) => userId))).toEqual(new Set([tenant]));
    }
  });

  it("are readable in the tables", async () => {
    const memory = new MemoryAdapter();
    for (const tenant of hostile.slice(0, 3))
      await withTenant(memory, tenant).sessionRepository.create(rowOf("s"));
    expect(memory.getSnapshot().sessions.map(({ id }) => id)).toEqual(["a/s", "a%2Fb/s", "a%252Fb/s"]);
  });

  it("are ids, and leave room for others behind them", () => {
    for (const tenant of ["", "a\0", "\ud800", "x".repeat(92), "/".repeat(31), 7, null, undefined, {}])
      expect(() => withTenant(new MemoryAdapter(), tenant as string)).toThrow(
        expect.objectContaining({ code: "INVALID_ID" }),
      );
    expect(withTenant(new MemoryAdapter(), "x".repeat(91)).limits.idBytes).toBe(36);
    expect(withTenant(new MemoryAdapter(), "acme").limits).toMatchObject({ idBytes: 123 });
  });

  it("can have tenants of their own", async () => {
    const memory = new MemoryAdapter();
    const outer = withTenant(memory, "acme");
    const [one, two] = [managerOf(outer, "north"), managerOf(outer, "south")];
    await fill(one, "one");
    await fill(two, "two");
    expect(await seenBy(one)).toEqual(all("one"));
    expect(memory.getSnapshot().sessions.map(({ id }) => id)).toEqual(["acme/north/s", "acme/south/s"]);
    expect(await outer.records?.scopes({ limit: 2 })).toEqual(["application/north", "application/south"]);
  });
});

describe("an id of a tenant", () => {
  const bytes = 123;
  const longest = "é".repeat(61) + "x";

  it("may have as many bytes as are left", async () => {
    const manager = managerOf(new MemoryAdapter(), "acme");
    expect(utf8Length(longest)).toBe(bytes);
    await manager.saveTurn({
      session: createSession({ id: longest }),
      userId: longest,
      messages: [said("x")],
    });
    await manager.records({ userId: longest }).put("k", 1);
    expect(await manager.findSessionsByUserId(longest)).toMatchObject([{ id: longest, userId: longest }]);
    expect(await manager.loadSessionHistory(longest)).toHaveLength(1);
    expect(await manager.eraseUser(longest)).toMatchObject({ sessions: 1, records: 1 });
  });

  it("is refused by every call where it has more, before anything is sent", async () => {
    const long = "x".repeat(bytes + 1);
    const nobody = new Proxy(new MemoryAdapter().sessionRepository, {
      get: () => () => Promise.reject(new Error("something was sent")),
    });
    const { messageRepository, limits, records, turns } = new MemoryAdapter();
    const base = { name: "m", durability: "process", messageRepository, limits, records } as const;
    for (const adapter of [
      { ...base, sessionRepository: nobody },
      { ...base, sessionRepository: nobody, turns },
    ]) {
      const manager = managerOf(adapter, "acme");
      const said = { role: "user", content: "x" } as const;
      const calls = [
        () => manager.saveTurn({ session: createSession({ id: long }) }),
        () => manager.saveTurn({ session: createSession({ id: "s" }), userId: long }),
        () => manager.saveMessage({ sessionId: long, ...said }),
        () => manager.saveMessage({ sessionId: "s", userId: long, ...said }),
        () => manager.loadSessionState(long),
        () => manager.loadSessionHistory(long),
        () => manager.findSessionById(long),
        () => manager.findSessionsByUserId(long),
        () => manager.updateSessionStatus(long, "completed"),
        () => manager.deleteSession(long),
        () => manager.deleteSession("s", { userId: long }),
        () => manager.trimMessages(long, 1),
        () => manager.exportSession(long),
        () => manager.inspectSession(long),
        () => manager.prune({ userId: long }),
        () => manager.eraseUser(long),
        () => manager.records({ userId: long }).get("k"),
        () => manager.records({ userId: long }).put("k", 1),
        () => manager.records({ sessionId: long }).list(),
      ];
      for (const call of calls) {
        const error: unknown = await call().catch((thrown: unknown) => thrown);
        expect([String(call), error]).toMatchObject([String(call), { code: "INVALID_ID" }]);
      }
    }
  });
});

let names = 0;

function rowOf(id: string, fields: Partial<SessionRow> = {}): SessionRow {
  const life = `life${names++}`;
  return {
    ...{ id, life, revision: `r${names++}`, version: `${life}.0`, userId: null, agentName: null },
    ...{ status: "active", first: 1, last: 0, lastMessageAt: null, createdAt: 1, updatedAt: 1 },
    ...{ completedAt: null, expiresAt: null, route: null, step: null, state: {}, dirty: false },
    system: { pending: [], operations: [], count: 0 },
    ...fields,
  };
}

const tenantId = fc.constantFrom("a", "b", "a/b", "a%2Fb", "%");
const name = fc.oneof(
  fc.constantFrom("s", "b/s", "/", "%2F", "\uffff", "😀", "a/s"),
  fc.string({ unit: "binary", minLength: 1, maxLength: 8 }).filter((text) => !text.includes("\0")),
);

it("lists of a tenant are what they would be if there were no others", async () => {
  const row = fc.record({
    ...{ tenant: tenantId, id: name, userId: fc.option(fc.constantFrom("ann", "bob", "a/ann")) },
    createdAt: fc.integer({ min: 0, max: 5 }),
    status: fc.constantFrom("active", "completed", "deleting"),
  });
  const filter = fc.constantFrom<Filter>(
    {},
    { userId: "ann" },
    { status: ["deleting"] },
    { userId: "a/ann" },
  );
  const rows = fc.array(row, { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(
      rows,
      filter,
      fc.integer({ min: 1, max: 9 }),
      tenantId,
      async (given, chosen, limit, of) => {
        const memory = new MemoryAdapter();
        const alone = new Map<string, SessionRow>();
        for (const { tenant, id, ...fields } of given) {
          const made = rowOf(id, fields);
          const isNew = await withTenant(memory, tenant).sessionRepository.create(made);
          if (tenant === of) expect(isNew).toBe(!alone.has(id));
          if (tenant === of && isNew) alone.set(id, made);
        }
        const expected = [...alone.values()].filter((one) => matches(one, chosen)).toSorted(compareFound);
        const found: SessionRow[] = [];
        for (let cursor: string | null | undefined; cursor !== null;) {
          const page = { limit, ...(cursor === undefined ? {} : { cursor }) };
          const { items, next } = await withTenant(memory, of).sessionRepository.find(chosen, page);
          if (next !== null) expect(items).toHaveLength(limit);
          found.push(...items);
          cursor = next;
        }
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 300 },
  );
});

it("scopes of a tenant are what they would be if there were no others", async () => {
  const scope = fc.oneof(
    fc.constant(applicationScope),
    name.map(userScope),
    fc.tuple(name, fc.constantFrom("life", "lif", "L")).map(([id, life]) => sessionScope(id, life)),
  );
  const stored = fc.array(fc.record({ tenant: tenantId, scope }), { maxLength: 40 });
  const after = fc.option(fc.oneof(scope, fc.constantFrom("a", "application!", "session/", "user/", "z")));
  await fc.assert(
    fc.asyncProperty(
      stored,
      after,
      fc.integer({ min: 1, max: 9 }),
      tenantId,
      async (given, behind, limit, of) => {
        const memory = new MemoryAdapter();
        for (const one of given) {
          const record = { scope: one.scope, key: "k", value: 1, revision: `r${names++}`, stamp: "1" };
          await withTenant(memory, one.tenant).records?.put(record, null);
        }
        const alone = new Set(given.filter(({ tenant }) => tenant === of).map((one) => one.scope));
        const expected = [...alone]
          .filter((one) => behind === null || compareBytes(one, behind) > 0)
          .toSorted(compareBytes)
          .slice(0, limit);
        const page = { limit, ...(behind === null ? {} : { after: behind }) };
        expect(await withTenant(memory, of).records?.scopes(page)).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
});

it("refuses a scope that is of nobody, and a user that is no text", async () => {
  const { records, sessionRepository } = withTenant(new MemoryAdapter(), "acme");
  for (const scope of ["user/", "other", "session/life", "applications"])
    await expect(records?.get(scope, "k")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  const userId = { toString: () => "ann" } as unknown as string;
  await expect(sessionRepository.find({ userId }, { limit: 1 })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
});

it("a manager that is closed leaves the adapter to those of other tenants", async () => {
  const calls: string[] = [];
  const { name: called, durability, limits, sessionRepository, messageRepository } = new MemoryAdapter();
  const adapter: PersistenceAdapter = {
    ...{ name: called, durability, limits, sessionRepository, messageRepository },
    initialize: async () => void calls.push("initialize"),
    disconnect: async () => void calls.push("disconnect"),
  };
  const [one, two] = twoOn(adapter);
  expect(await one.loadSessionState("s")).toBeNull();
  expect(await two.loadSessionState("s")).toBeNull();
  await one.close();
  expect(calls).toEqual(["initialize"]);
  await two.close();
  expect(calls).toEqual(["initialize", "disconnect"]);
});

it("facets are those that the adapter has once it is initialized", async () => {
  const memory = new MemoryAdapter();
  const { name: called, durability, limits, sessionRepository, messageRepository } = memory;
  let { turns, records }: Pick<PersistenceAdapter, "turns" | "records"> = {
    turns: undefined,
    records: undefined,
  };
  const late: PersistenceAdapter = {
    ...{ name: called, durability, limits, sessionRepository, messageRepository },
    get turns() {
      return turns;
    },
    get records() {
      return records;
    },
    initialize: async () => {
      ({ turns, records } = memory);
    },
  };
  const adapter = withRetry(withTenant(late, "acme"));
  expect([adapter.turns, adapter.records]).toEqual([undefined, undefined]);
  await adapter.initialize?.();
  expect(adapter.turns).toBeDefined();
  expect(adapter.turns).toBe(adapter.turns);
  const manager = new PersistenceManager({ adapter });
  await fill(manager, "acme");
  expect(await seenBy(manager)).toEqual(all("acme"));
});
