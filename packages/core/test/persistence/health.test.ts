import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { StorageError } from "../../src/errors.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import { createSession } from "../../src/state/session.js";
import { testEnvironment } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";
import { eachStore, refusal } from "../support/stores.js";

describe("health", () => {
  it.each(eachStore())("of %s says that it is there", async (_name, open) => {
    const adapter = open();
    const described = await adapter.describe?.();
    const persistence = new PersistenceManager({ adapter });
    expect(await persistence.health()).toEqual({
      reachable: true,
      latencyMs: expect.any(Number),
      server: described?.server ?? null,
      schemaVersion: described?.schemaVersion ?? null,
      writable: described?.writable ?? null,
    });
  });

  it("has what the adapter says, and how long it took", async () => {
    const environment = testEnvironment();
    const adapter = Object.assign(mapAdapter(), {
      describe: async () => {
        environment.advance(7);
        return { server: "map 1.0", schemaVersion: 3, writable: false };
      },
    });
    expect(await new PersistenceManager({ adapter, environment }).health()).toEqual({
      ...{ reachable: true, latencyMs: 7, server: "map 1.0", schemaVersion: 3, writable: false },
    });
  });

  it("says why a store is not there, and throws nothing", async () => {
    const failing = mapAdapter();
    failing.before = () => {
      throw new Error("no route");
    };
    const late = Object.assign(mapAdapter(), { initialize: () => new Promise<never>(() => {}) });
    const broken = Object.assign(mapAdapter(), {
      describe: () =>
        Promise.reject(new StorageError("STORAGE_FAILED", "no rights", { operation: "describe" })),
    });
    const of = (adapter: typeof failing) => new PersistenceManager({ adapter }).health({ timeoutMs: 20 });
    expect(await of(failing)).toMatchObject({ reachable: false, error: { code: "STORAGE_UNAVAILABLE" } });
    expect(await of(late)).toMatchObject({
      reachable: false,
      writable: null,
      error: { cause: new Error("the store did not answer within 20 ms") },
    });
    expect(await of(broken)).toMatchObject({ reachable: false, error: { code: "STORAGE_FAILED" } });
    for (const timeoutMs of [0, -1, Number.NaN, "1"]) {
      const work = new PersistenceManager({ adapter: failing }).health({ timeoutMs: timeoutMs as number });
      expect((await refusal(work)).code).toBe("INVALID_ARGUMENT");
    }
  });
});

describe("an inspection", () => {
  const said = { role: "user", content: "Hi" } as const;

  it.each(eachStore())("finds nothing in a whole session on %s", async (_name, open) => {
    const persistence = new PersistenceManager({ adapter: open(), userId: "ada" });
    await persistence.saveTurn({
      session: createSession({ id: "s" }),
      messages: Array.from({ length: 1001 }, () => said),
    });
    expect(await persistence.inspectSession("s")).toEqual({
      session: await persistence.findSessionById("s"),
      schemaVersion: 1,
      problems: [],
    });
    expect(await persistence.inspectSession("none")).toBeNull();
    expect(await persistence.inspectSession("s", { userId: "bob" })).toBeNull();
    expect((await refusal(persistence.inspectSession(""))).code).toBe("INVALID_ID");
  });

  it("names all that cannot be read", async () => {
    const adapter = mapAdapter();
    const persistence = new PersistenceManager({ adapter });
    const session = createSession({ id: "s", data: { n: "one" } });
    await persistence.saveTurn({ session, messages: Array.from({ length: 2100 }, () => said) });
    // The row holds the messages of its newest turn itself.
    await persistence.saveMessage({ sessionId: "s", ...said });
    await persistence.flush();
    for (const [key, entry] of adapter.entries) {
      if (entry.sequence === 5) adapter.entries.delete(key);
      if (entry.sequence === 2050) adapter.entries.set(key, { ...entry, role: "ghost" });
    }
    const strict = new PersistenceManager({ adapter, schema: { n: z.number() } });
    const inspection = await strict.inspectSession("s");
    expect(inspection?.problems.map(({ code }) => code)).toEqual([
      "INVALID_STATE",
      "STORAGE_DAMAGED",
      "STORAGE_DAMAGED",
    ]);
    expect(inspection?.problems[1]?.message).toContain("message 5");
    expect(inspection?.problems[2]?.message).toContain("message 2050");
    expect(inspection?.session.messageCount).toBe(2101);
  });

  it("names a state of another version", async () => {
    const adapter = mapAdapter();
    const options = { adapter, schemaVersion: 2, migrations: { 1: () => {} } };
    await new PersistenceManager(options).saveSessionState("s", createSession());
    const inspection = await new PersistenceManager({ adapter }).inspectSession("s");
    expect(inspection?.schemaVersion).toBe(2);
    expect(inspection?.problems.map(({ code }) => code)).toEqual(["STATE_TOO_NEW"]);
  });
});
