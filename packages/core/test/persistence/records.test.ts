import { describe, expect, it } from "@jest/globals";
import { sessionScope } from "../../src/contract/scope.js";
import { type ManagerOptions, PersistenceManager, createSession, type SavedRecord } from "../../src/index.js";
import { RecordConflictError } from "../../src/errors.js";
import { testEnvironment } from "../../src/testing.js";
import { type MapAdapter, mapAdapter } from "../support/map-adapter.js";
import { refusal } from "../support/stores.js";

type Data = Record<string, unknown>;

function open(adapter: MapAdapter = mapAdapter(), options: Partial<ManagerOptions<Data>> = {}) {
  const environment = testEnvironment();
  return {
    adapter,
    environment,
    manager: new PersistenceManager<Data>({ adapter, environment, ...options }),
  };
}

async function withSession(id = "s", options: Partial<ManagerOptions<Data>> = {}) {
  const opened = open(mapAdapter(), options);
  const session = createSession<Data>({ id });
  await opened.manager.saveTurn({ session });
  return { ...opened, session, records: opened.manager.records({ sessionId: id }) };
}

const valuesOf = (found: readonly SavedRecord[]) => found.map(({ key, value }) => [key, value]);

describe("records of a user and of the application", () => {
  it.each([["application" as const], [{ userId: "ann" }]])("%j: written, read, removed", async (of) => {
    const { manager } = open();
    const records = manager.records(of);
    expect(await records.get("k")).toBeNull();
    const revision = await records.put("k", { at: new Date(5), n: 10n });
    expect(await records.get("k")).toEqual({ key: "k", value: { at: new Date(5), n: 10n }, revision });
    const next = await records.put("k", "two");
    expect(next).not.toBe(revision);
    expect(await records.delete("k")).toBe(true);
    expect(await records.delete("k")).toBe(false);
    expect(await records.get("k")).toBeNull();
  });

  it("is bound to the revision that the caller names", async () => {
    const records = open().manager.records({ userId: "ann" });
    const first = await records.put("k", 1, { ifRevision: null });
    const error = await refusal(records.put("k", 2, { ifRevision: null }));
    expect(error).toBeInstanceOf(RecordConflictError);
    expect(error).toMatchObject({ code: "RECORD_CONFLICT", key: "k", expected: null, actual: first });
    const second = await records.put("k", 2, { ifRevision: first });
    expect(await refusal(records.put("k", 3, { ifRevision: first }))).toMatchObject({ actual: second });
    expect(await refusal(records.delete("k", { ifRevision: first }))).toMatchObject({ actual: second });
    expect(await records.delete("k", { ifRevision: second })).toBe(true);
  });

  it("goes on among others who write the same record", async () => {
    const { manager } = open();
    const records = manager.records("application");
    await Promise.all([1, 2, 3, 4].map((n) => records.put("k", n)));
    const won = await Promise.allSettled(
      [1, 2, 3, 4].map((n) => records.put("new", n, { ifRevision: null })),
    );
    expect(won.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("does not reach another scope by an odd id", async () => {
    const { manager } = await withSession("x");
    await manager.records({ userId: "a" }).put("k", "user");
    await manager.records("application").put("k", "application");
    for (const userId of ["application", "user/a", "a/", "session/x"]) {
      expect(await manager.records({ userId }).get("k")).toBeNull();
    }
    expect(await manager.records({ sessionId: "x" }).get("k")).toBeNull();
  });
});

describe("records of a session", () => {
  it("are stored with the turn, and read before they are delivered", async () => {
    const { manager, adapter, session, records } = await withSession();
    adapter.before = (call) => {
      if (call === "records.apply") throw new Error("not now");
    };
    await manager.saveTurn({
      session,
      messages: [{ role: "user", content: "hello" }],
      records: [
        { key: "b", value: 2 },
        { key: "a", value: new Map([[1, 2]]) },
      ],
    });
    expect(adapter.stored.size).toBe(0);
    expect((await records.get("a"))?.value).toEqual(new Map([[1, 2]]));
    expect(valuesOf(await records.list())).toEqual([
      ["a", new Map([[1, 2]])],
      ["b", 2],
    ]);
    // What is not delivered comes before the next turn.
    await expect(manager.saveTurn({ session, records: [{ key: "b", value: null }] })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    adapter.before = () => {};
    await manager.saveTurn({ session, records: [{ key: "b", value: null }] });
    expect(valuesOf(await records.list())).toEqual([["a", new Map([[1, 2]])]]);
    await manager.flush();
    expect(valuesOf(await records.list())).toEqual([["a", new Map([[1, 2]])]]);
  });

  it("are paged with what is pending in its place", async () => {
    const { manager, adapter, session, records } = await withSession();
    const many = ["a", "b", "c", "d", "e"].map((key) => ({ key, value: key }));
    await manager.saveTurn({ session, records: many });
    await manager.flush();
    adapter.before = (call) => {
      if (call === "records.apply") throw new Error("not now");
    };
    const change = [
      { key: "a", value: null },
      { key: "b2", value: "b2" },
      { key: "z", value: "z" },
      { key: "d", value: null },
    ];
    await manager.saveTurn({ session, records: change });
    for (const limit of [1, 2, 3, 100]) {
      const keys: string[] = [];
      let after: string | undefined;
      do {
        const page = await records.list({ limit, after });
        expect(page.length).toBeLessThanOrEqual(limit);
        keys.push(...page.map(({ key }) => key));
        after = page.next ?? undefined;
      } while (after !== undefined);
      expect([limit, keys]).toEqual([limit, ["b", "b2", "c", "e", "z"]]);
    }
  });

  it("stay removed when an older delivery arrives late", async () => {
    const { manager, adapter, session, records } = await withSession();
    await manager.saveTurn({ session, records: [{ key: "k", value: "old" }] });
    await manager.flush();
    const [late] = [...adapter.stored.values()];
    await records.put("k", "new");
    await records.delete("k");
    await manager.flush();
    if (late !== undefined) await adapter.records.apply([late]);
    expect(await records.get("k")).toBeNull();
  });

  it("are written alone as a commit of the session", async () => {
    const { manager, adapter, session, records } = await withSession("s", { expireAfterMs: 1000 });
    const before = adapter.rows.get("s");
    const first = await records.put("k", 1);
    const after = adapter.rows.get("s");
    expect(after?.version).toBe(before?.version);
    expect(after?.revision).toBe(first);
    expect(await refusal(records.put("k", 2, { ifRevision: null }))).toMatchObject({
      code: "RECORD_CONFLICT",
      sessionId: "s",
      actual: first,
    });
    const raced = await Promise.allSettled([2, 3, 4].map((n) => records.put("k", n, { ifRevision: first })));
    expect(raced.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect((await records.get("k"))?.value).toBe(2);
    await manager.saveTurn({ session, messages: [{ role: "user", content: "goes on" }] });
    await manager.updateSessionStatus("s", "completed");
    expect(await refusal(records.put("k", 3))).toMatchObject({ code: "SESSION_CLOSED" });
    await records.put("k", 3, { reopen: true });
    expect((await manager.findSessionById("s"))?.status).toBe("active");
  });

  it("is bound to its revision among writers of other processes", async () => {
    const { adapter, records } = await withSession();
    const first = await records.put("n", 0);
    const others = ["a", "b", "c"].map((seed) =>
      open(adapter, { environment: testEnvironment({ seed }) }).manager.records({ sessionId: "s" }),
    );
    const raced = await Promise.allSettled(
      [records, ...others].map((one, n) => one.put("n", n, { ifRevision: first })),
    );
    expect(raced.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const result of raced)
      if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "RECORD_CONFLICT" });
  });

  it("end with the session, and the next life has none", async () => {
    const { manager, adapter, session, records } = await withSession();
    const life = adapter.rows.get("s")?.life ?? "";
    await manager.saveTurn({ session, records: [{ key: "k", value: 1 }] });
    await manager.flush();
    await manager.deleteSession("s");
    expect(adapter.stored.size).toBe(0);
    expect(await records.get("k")).toBeNull();
    expect(await records.list()).toEqual([]);
    expect(await records.delete("k")).toBe(false);
    expect(await refusal(records.put("k", 1))).toMatchObject({ code: "SESSION_NOT_FOUND" });
    expect(await refusal(records.put("k", 1, { ifRevision: null }))).toMatchObject({
      code: "SESSION_NOT_FOUND",
    });
    await manager.saveTurn({ session: createSession<Data>({ id: "s" }) });
    expect(adapter.rows.get("s")?.life).not.toBe(life);
    expect(await records.get("k")).toBeNull();
  });

  it("that land after the delete are removed by who wrote them", async () => {
    const { manager, adapter, environment, session } = await withSession();
    const life = adapter.rows.get("s")?.life ?? "";
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => (go = resolve));
    adapter.before = (call) => (call === "records.apply" ? gate : undefined);
    await manager.saveTurn({ session, records: [{ key: "k", value: 1 }] });
    await new PersistenceManager<Data>({ adapter, environment }).deleteSession("s");
    go();
    await manager.flush();
    expect(await adapter.records.list(sessionScope("s", life), { limit: 1 })).toEqual([]);
    expect(adapter.stored.size).toBe(0);
  });

  it("of somebody else's, or of an expired one, are not there", async () => {
    const { adapter, environment, session, manager } = await withSession("s", {
      userId: "ann",
      expireAfterMs: 1000,
    });
    await manager.saveTurn({ session, records: [{ key: "k", value: 1 }] });
    const bob = manager.records({ sessionId: "s", userId: "bob" });
    expect(await bob.get("k")).toBeNull();
    expect(await bob.list()).toEqual([]);
    expect(await bob.delete("k")).toBe(false);
    expect(await refusal(bob.put("k", 2))).toMatchObject({ code: "SESSION_NOT_FOUND" });
    const ann = manager.records({ sessionId: "s" });
    expect((await ann.get("k"))?.value).toBe(1);
    environment.advance(1000);
    expect(await ann.get("k")).toBeNull();
    expect((await manager.prune()).deleted).toBe(1);
    expect(adapter.stored.size).toBe(0);
  });

  it("of a turn that is refused are not stored, and a replay writes nothing again", async () => {
    const { manager, session, records } = await withSession();
    const stale = { ...session };
    const turn = { session, records: [{ key: "k", value: 1 }], operationId: "op" };
    session.data["n"] = 1;
    await manager.saveTurn(turn);
    const revision = (await records.get("k"))?.revision;
    expect(await manager.saveTurn(turn)).toMatchObject({ replayed: true });
    expect((await records.get("k"))?.revision).toBe(revision);
    const other = { ...turn, records: [{ key: "k", value: 2 }] };
    expect(await refusal(manager.saveTurn(other))).toMatchObject({ code: "OPERATION_MISMATCH" });
    const late = manager.saveTurn({
      session: { ...stale, data: { n: 2 } },
      conflict: "reject",
      records: [{ key: "late", value: 1 }],
    });
    expect(await refusal(late)).toMatchObject({ code: "SESSION_CONFLICT" });
    expect(valuesOf(await records.list())).toEqual([["k", 1]]);
  });

  it("go with the erasure of their user, whose own are counted", async () => {
    const { manager, adapter, session } = await withSession("s", { userId: "ann" });
    await manager.saveTurn({ session, records: [{ key: "k", value: 1 }] });
    await manager.records({ userId: "ann" }).put("a", 1);
    await manager.records({ userId: "ann" }).put("b", 1);
    await manager.records({ userId: "bob" }).put("a", 1);
    await manager.records("application").put("a", 1);
    expect(await manager.eraseUser("ann")).toMatchObject({ sessions: 1, records: 2 });
    expect([...adapter.stored.values()].map(({ scope }) => scope).toSorted()).toEqual([
      "application",
      "user/bob",
    ]);
  });
});

describe("records that cannot be", () => {
  const hostile = ["", "\0", "a\0", "\ud800", "a\udc00b", "é".repeat(129), 5, null, {}];

  it.each(hostile)("key %j is refused on every path", async (key) => {
    const { records, manager, session } = await withSession();
    const bad = key as string;
    for (const work of [
      () => records.get(bad),
      () => records.put(bad, 1),
      () => records.delete(bad),
      () => records.list({ after: bad }),
      () => manager.saveTurn({ session, records: [{ key: bad, value: 1 }] }),
    ])
      expect(await refusal(work())).toMatchObject({ code: "INVALID_ID" });
  });

  it("values, owners and pages are refused before anything is written", async () => {
    const { adapter, records, manager, session } = await withSession();
    const before = JSON.stringify(adapter.rows.get("s"));
    const codes = {
      INVALID_VALUE: [() => records.put("k", () => {}), () => records.put("k", { a: [Symbol("x")] })],
      INVALID_ARGUMENT: [
        () => records.put("k", null),
        () => records.put("k", undefined),
        () => records.put("k", 1, { ifRevision: 5 as never }),
        () => records.list({ limit: 0 }),
        () => records.list({ limit: 101 }),
        () => manager.records("somebody" as never).get("k"),
        () => manager.records(null as never).get("k"),
        () => manager.saveTurn({ session, records: {} as never }),
        () => manager.saveTurn({ session, records: [null as never] }),
        () => manager.saveTurn({ session, records: [{ key: "k" } as never] }),
        () =>
          manager.saveTurn({
            session,
            records: [
              { key: "k", value: 1 },
              { key: "k", value: 2 },
            ],
          }),
      ],
      INVALID_ID: [
        () => manager.records({ userId: "" }).get("k"),
        () => manager.records({} as never).get("k"),
        () => manager.records({ sessionId: "\ud800" }).put("k", 1),
      ],
      COMMIT_TOO_LARGE: [
        () => records.put("k", "x".repeat(1_000_001)),
        () => manager.records("application").put("k", "x".repeat(1_000_001)),
        () => manager.saveTurn({ session, records: [{ key: "k", value: "x".repeat(1_000_001) }] }),
      ],
    };
    for (const [code, calls] of Object.entries(codes))
      for (const call of calls) expect(await refusal(call())).toMatchObject({ code });
    expect(JSON.stringify(adapter.rows.get("s"))).toBe(before);
    expect(adapter.stored.size).toBe(0);
  });

  it("an adapter without them is named, and nothing is written", async () => {
    const { adapter, environment, session } = await withSession();
    const { name, durability, limits, sessionRepository, messageRepository } = adapter;
    const without = { name, durability, limits, sessionRepository, messageRepository };
    const manager = new PersistenceManager<Data>({ adapter: without, environment });
    const before = JSON.stringify(adapter.rows.get("s"));
    for (const owner of ["application" as const, { userId: "ann" }, { sessionId: "s" }]) {
      const records = manager.records(owner);
      for (const work of [() => records.get("k"), () => records.list(), () => records.put("k", 1)]) {
        const error = await refusal(work());
        expect(error).toMatchObject({ code: "CAPABILITY_MISSING" });
        expect(error.message).toContain('"map"');
      }
    }
    const turn = manager.saveTurn({ session, records: [{ key: "k", value: 1 }] });
    expect(await refusal(turn)).toMatchObject({ code: "CAPABILITY_MISSING", operation: "saveTurn" });
    expect(JSON.stringify(adapter.rows.get("s"))).toBe(before);
    await manager.saveTurn({ session, records: [] });
    expect(await manager.eraseUser("ann")).toMatchObject({ records: 0 });
  });

  it("a row with records that the adapter cannot keep any more is left as it is", async () => {
    const { adapter, environment, session, manager } = await withSession();
    adapter.before = (call) => {
      if (call === "records.apply") throw new Error("not now");
    };
    await manager.saveTurn({ session, records: [{ key: "k", value: 1 }] });
    const { name, durability, limits, sessionRepository, messageRepository } = adapter;
    const without = { name, durability, limits, sessionRepository, messageRepository };
    const other = new PersistenceManager<Data>({ adapter: without, environment });
    const loaded = await other.loadSessionState("s");
    if (loaded === null) throw new Error("the session is there");
    expect(await refusal(other.saveTurn({ session: loaded }))).toMatchObject({ code: "CAPABILITY_MISSING" });
  });
});

describe("hooks and records", () => {
  it("before a save are told of a session's records, and may refuse", async () => {
    const told: unknown[] = [];
    const hooks = {
      beforeSave: ({
        operation,
        records,
      }: {
        operation: string;
        records?: readonly unknown[] | undefined;
      }) => {
        told.push([operation, records]);
        if (operation === "records.delete") throw new Error("no");
      },
    };
    const { manager, session, records } = await withSession("s", { hooks });
    await manager.saveTurn({ session, records: [{ key: "a", value: 1 }] });
    await records.put("b", 2);
    expect(await refusal(records.delete("b"))).toMatchObject({ code: "HOOK_FAILED" });
    expect(told.slice(1)).toEqual([
      ["saveTurn", [{ key: "a", value: 1 }]],
      ["records.put", [{ key: "b", value: 2 }]],
      ["records.delete", [{ key: "b", value: null }]],
    ]);
    expect((await records.get("b"))?.value).toBe(2);
  });

  it("are told of failures by the name of the call", async () => {
    const failures: unknown[] = [];
    const hooks = { onError: ({ operation }: { operation: string }) => failures.push(operation) };
    const { manager } = open(mapAdapter(), { hooks });
    await refusal(manager.records("application").put("k", null));
    expect(failures).toEqual(["records.put"]);
  });
});
