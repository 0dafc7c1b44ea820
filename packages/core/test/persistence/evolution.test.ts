import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import type { Json } from "../../src/contract/json.js";
import { ValidationError } from "../../src/errors.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import type { ConflictPolicy, ManagerOptions } from "../../src/persistence/options.js";
import type { Migration } from "../../src/state/migrate.js";
import { createSession } from "../../src/state/session.js";
import { scriptedModel } from "../../src/testing.js";
import { Agent } from "../../src/agent/agent.js";
import { mapAdapter } from "../support/map-adapter.js";
import { eachStore, refusal } from "../support/stores.js";

const stores = eachStore();

type Data = Record<string, unknown>;
const manager = (adapter: PersistenceAdapter, options: Partial<ManagerOptions<Data>> = {}) =>
  new PersistenceManager<Data>({ adapter, ...options });

/** Version 2 counts guests, where version 1 had a text; version 3 has two names. */
const migrations: Readonly<Record<number, Migration>> = {
  1: (state) => {
    for (const data of [state.data, ...Object.values(state.dataByRoute)]) {
      if (data["people"] !== undefined) data["guests"] = Number(data["people"]);
      delete data["people"];
    }
  },
  2: ({ data, ...state }) => {
    const [first, last] = String(data["name"] ?? "").split(" ");
    delete data["name"];
    return { ...state, data: { ...data, first, last } };
  },
};
const now = { schemaVersion: 3, migrations, schema: { guests: z.number().int(), first: z.string() } };

async function older(
  adapter: PersistenceAdapter,
  id: string,
  data: Data = { people: "4", name: "Ada Byron" },
) {
  const session = createSession<Data>({ id, data });
  session.dataByRoute = { book: { people: data["people"] } };
  const persistence = manager(adapter);
  await persistence.saveTurn({ session, messages: [{ role: "user", content: "Hi" }] });
  return { persistence, session };
}

const rowOf = (adapter: PersistenceAdapter, id: string) => adapter.sessionRepository.findById(id);

describe.each(stores)("older state on %s", (_name, open) => {
  it("is migrated when it is read, step by step, and stored by the next save", async () => {
    const adapter = open();
    await older(adapter, "s");
    const before = await rowOf(adapter, "s");
    const persistence = manager(adapter, now);
    const session = await persistence.loadSessionState("s");
    if (session === null) throw new Error("not there");
    expect(session.data).toEqual({ guests: 4, first: "Ada", last: "Byron" });
    expect(session.dataByRoute).toEqual({ book: { guests: 4 } });
    expect(await rowOf(adapter, "s")).toEqual(before);
    // Nothing was changed here, and the version moves all the same: what is stored is another state.
    await persistence.saveTurn({ session });
    const after = await rowOf(adapter, "s");
    expect(after?.state).toMatchObject({ schemaVersion: 3, data: { guests: 4, first: "Ada" } });
    expect(after?.version).not.toBe(before?.version);
    expect(session.version).toBe(after?.version);
    const version = session.version;
    await persistence.saveTurn({ session });
    expect(session.version).toBe(version);
    expect((await persistence.loadSessionState("s"))?.data).toEqual(session.data);
  });

  it("is never given to a migration that has had it, nor is what is stored", async () => {
    const adapter = open();
    await older(adapter, "s", { people: "4", list: [1] });
    const growing: Migration = ({ data }) => void (data["list"] as unknown[]).push(2);
    const persistence = manager(adapter, { schemaVersion: 2, migrations: { 1: growing } });
    for (let read = 0; read < 3; read++) {
      expect((await persistence.loadSessionState("s"))?.data["list"]).toEqual([1, 2]);
    }
    const session = await persistence.loadSessionState("s");
    if (session === null) throw new Error("not there");
    await persistence.saveTurn({ session: { ...session } });
    expect((await persistence.loadSessionState("s"))?.data["list"]).toEqual([1, 2]);
  });

  it("is refused field by field where it does not match the schema, and left as it is", async () => {
    const adapter = open();
    await older(adapter, "s", { people: "few" });
    const before = await rowOf(adapter, "s");
    const wrong: Migration = ({ data, dataByRoute: { book = {} } }) => {
      data["guests"] = data["people"];
      book["guests"] = 1.5;
      data["first"] = 7;
    };
    const { schema } = now;
    const persistence = manager(adapter, { schema, schemaVersion: 2, migrations: { 1: wrong } });
    const error = await refusal(persistence.loadSessionState("s"));
    expect(error.code).toBe("INVALID_STATE");
    expect(error instanceof ValidationError && error.issues.map(({ path }) => path)).toEqual([
      ["data", "guests"],
      ["data", "first"],
      ["dataByRoute", "book", "guests"],
    ]);
    expect(await rowOf(adapter, "s")).toEqual(before);
  });

  it("stands in nobody's way when its migration fails", async () => {
    const adapter = open();
    await older(adapter, "good");
    await older(adapter, "bad", { people: "0" });
    const before = await rowOf(adapter, "bad");
    const persistence = manager(adapter, {
      schemaVersion: 2,
      migrations: {
        1: ({ data }) => {
          if (data["people"] === "0") throw new RangeError("nobody comes");
        },
      },
    });
    const error = await refusal(persistence.loadSessionState("bad"));
    expect(error).toMatchObject({
      code: "MIGRATION_FAILED",
      sessionId: "bad",
      operation: "loadSessionState",
    });
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(error.message).toContain("from schema version 1 to 2");
    expect(await rowOf(adapter, "bad")).toEqual(before);
    expect((await persistence.loadSessionState("good"))?.data["people"]).toBe("4");
    expect(await persistence.loadSessionHistory("bad")).toHaveLength(1);
  });

  it("is migrated before it is merged, when an older process came first", async () => {
    const adapter = open();
    const { persistence: old, session: theirs } = await older(adapter, "s");
    const persistence = manager(adapter, now);
    const mine = await persistence.loadSessionState("s");
    if (mine === null) throw new Error("not there");
    theirs.data["people"] = "5";
    await old.saveTurn({ session: theirs });
    mine.data["phone"] = "123";
    await persistence.saveTurn({ session: mine });
    expect(mine.data).toEqual({ guests: 5, first: "Ada", last: "Byron", phone: "123" });
    expect((await rowOf(adapter, "s"))?.state).toMatchObject({
      schemaVersion: 3,
      data: { guests: 5, phone: "123" },
    });
  });

  it("is migrated for a function that merges", async () => {
    const adapter = open();
    const { persistence: old, session: theirs } = await older(adapter, "s");
    const persistence = manager(adapter, now);
    const mine = await persistence.loadSessionState("s");
    if (mine === null) throw new Error("not there");
    theirs.data["people"] = "5";
    await old.saveTurn({ session: theirs });
    mine.data["guests"] = 6;
    const seen: unknown[] = [];
    const conflict: ConflictPolicy<Data> = ({ base, mine, theirs }) => {
      seen.push(base?.data["guests"], mine.data["guests"], theirs.data["guests"]);
      return { ...theirs, data: { ...theirs.data, guests: 11 } };
    };
    await persistence.saveTurn({ session: mine, conflict });
    expect(seen).toEqual([4, 6, 5]);
    expect(mine.data["guests"]).toBe(11);
    expect((await rowOf(adapter, "s"))?.state).toHaveProperty("schemaVersion", 3);
  });
});

describe.each(stores)("newer state on %s", (_name, open) => {
  async function moved(adapter: PersistenceAdapter) {
    const { persistence, session } = await older(adapter, "s");
    const newer = manager(adapter, now);
    const theirs = await newer.loadSessionState("s");
    if (theirs === null) throw new Error("not there");
    await newer.saveTurn({ session: theirs });
    return { old: persistence, session, row: await rowOf(adapter, "s") };
  }

  it("is refused when it is read", async () => {
    const adapter = open();
    const { old, row } = await moved(adapter);
    const error = await refusal(old.loadSessionState("s"));
    expect(error).toMatchObject({ code: "STATE_TOO_NEW", retryable: false, sessionId: "s" });
    expect(error.message).toContain("schema version 3");
    expect(await rowOf(adapter, "s")).toEqual(row);
  });

  it.each<[string, ConflictPolicy<Data>]>([
    ["reject", "reject"],
    ["rebase", "rebase"],
    ["queue", "queue"],
    ["a function", ({ mine }) => mine],
  ])("is not merged with by %s", async (_policy, conflict) => {
    const adapter = open();
    const { old, session, row } = await moved(adapter);
    session.data["phone"] = "123";
    const messages = [{ role: "user", content: "late" }] as const;
    for (const stale of [session, { ...session }]) {
      const error = await refusal(old.saveTurn({ session: stale, messages, conflict }));
      expect(error.code).toBe("STATE_TOO_NEW");
    }
    expect(await rowOf(adapter, "s")).toEqual(row);
    expect(await old.loadSessionHistory("s")).toHaveLength(1);
  });

  it("does not hide that a turn of before was stored", async () => {
    const adapter = open();
    const { persistence: old, session } = await older(adapter, "s");
    const turn = { session, messages: [{ role: "user", content: "first" }] as const, operationId: "one" };
    await old.saveTurn(turn);
    const newer = manager(adapter, now);
    const theirs = await newer.loadSessionState("s");
    if (theirs === null) throw new Error("not there");
    await newer.saveTurn({ session: theirs });
    expect((await old.saveTurn(turn)).replayed).toBe(true);
    session.data["late"] = true;
    expect((await refusal(old.saveTurn({ session }))).code).toBe("STATE_TOO_NEW");
  });

  it("of Waymark itself is refused likewise, its messages too", async () => {
    const adapter = open();
    const { persistence, session } = await older(adapter, "s");
    const row = await rowOf(adapter, "s");
    if (row === null) throw new Error("not there");
    const state: Json = { format: 2, whatever: { "~future": 1 } };
    const next = { ...row, state, revision: "next", version: `${row.life}.9` };
    await adapter.sessionRepository.update(next, row.revision);
    session.data["late"] = true;
    for (const work of [
      persistence.loadSessionState("s"),
      manager(adapter, now).loadSessionState("s"),
      persistence.loadSessionHistory("s"),
      persistence.saveTurn({ session }),
    ]) {
      const error = await refusal(work);
      expect(error.code).toBe("STATE_TOO_NEW");
      expect(error.message).toContain("release of Waymark");
    }
    expect(await rowOf(adapter, "s")).toEqual(next);
  });
});

describe("a migration", () => {
  it.each<[string, Migration, string]>([
    [
      "throws a text",
      () => {
        throw "no";
      },
      "[string]",
    ],
    ["is async", (async () => {}) as never, "[TypeError]"],
    ["is async and rejects", (() => Promise.reject(new Error("no"))) as never, "[TypeError]"],
    ["takes a part away", (state) => void Reflect.deleteProperty(state, "data"), "[ValidationError]"],
    ["adds a part", (state) => void Reflect.set(state, "notes", 1), "[ValidationError]"],
    ["leaves what cannot be stored", ({ data }) => void (data["f"] = () => {}), "[ValidationError]"],
    ["returns something else", () => null as never, "[ValidationError]"],
  ])("that %s fails by name", async (_what, migration, named) => {
    const adapter = mapAdapter();
    await older(adapter, "s");
    const persistence = manager(adapter, { schemaVersion: 2, migrations: { 1: migration } });
    const error = await refusal(persistence.loadSessionState("s"));
    expect(error.code).toBe("MIGRATION_FAILED");
    expect(error.message).toContain(named);
  });

  it("may rename routes and steps", async () => {
    const adapter = mapAdapter();
    const { persistence, session } = await older(adapter, "s");
    session.currentRoute = { id: "book" };
    session.currentStep = { id: "people", routeId: "book" };
    session.routeHistory.push({ routeId: "book", enteredAt: new Date(0), completed: false });
    await persistence.saveTurn({ session });
    const renamed = manager(adapter, {
      schemaVersion: 2,
      migrations: {
        1: (state) => {
          const { book = {}, ...others } = state.dataByRoute;
          state.dataByRoute = { ...others, reserve: book };
          if (state.currentRoute?.id === "book") state.currentRoute.id = "reserve";
          if (state.currentStep?.routeId === "book") state.currentStep = { id: "guests", routeId: "reserve" };
          for (const entry of state.routeHistory) if (entry.routeId === "book") entry.routeId = "reserve";
        },
      },
    });
    const migrated = await renamed.loadSessionState("s");
    expect(migrated).toMatchObject({
      dataByRoute: { reserve: { people: "4" } },
      currentRoute: { id: "reserve" },
      currentStep: { id: "guests", routeId: "reserve" },
      routeHistory: [{ routeId: "reserve", enteredAt: new Date(0) }],
    });
    if (migrated === null) return;
    await renamed.saveTurn({ session: migrated });
    expect(await rowOf(adapter, "s")).toMatchObject({ route: "reserve", step: "guests" });
  });

  it.each<[string, number | undefined, Record<string, unknown>, string]>([
    ["is missing", 3, { 2: () => {} }, "no function 1"],
    ["is not a function", 2, { 1: "text" }, "no function 1"],
    ["leads nowhere", 2, { 1: () => {}, 2: () => {} }, '"2"'],
    ["has no version to lead to", undefined, { 1: () => {} }, '"1"'],
    ["belongs to a version that cannot be", 0, {}, "whole number"],
    ["belongs to half a version", 1.5, {}, "whole number"],
  ])("that %s is found before the first conversation", (_what, schemaVersion, given, named) => {
    const options = { schemaVersion, migrations: given as never };
    const provider = scriptedModel([]);
    for (const make of [
      () => manager(mapAdapter(), options),
      () => new Agent({ name: "a", provider, ...(options as { schemaVersion: number; migrations: never }) }),
    ]) {
      expect(make).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
      expect(make).toThrow(named);
    }
  });
});

it("an agent migrates the sessions that its handles take up", async () => {
  const adapter = mapAdapter();
  await older(adapter, "s");
  const agent = new Agent({
    name: "Table",
    provider: scriptedModel(["Hello again"]),
    ...now,
    persistence: { adapter },
  });
  const { session } = await agent.session("s").chat("Hi");
  expect(session.data).toMatchObject({ guests: 4, first: "Ada" });
  expect((await rowOf(adapter, "s"))?.state).toHaveProperty("schemaVersion", 3);
});
