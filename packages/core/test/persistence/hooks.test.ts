import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import { TurnNotSavedError } from "../../src/agent/turn-not-saved.js";
import { ValidationError } from "../../src/errors.js";
import type { PersistenceHooks } from "../../src/persistence/hooks.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import type { ManagerOptions } from "../../src/persistence/options.js";
import { createSession } from "../../src/state/session.js";
import { scriptedModel, testEnvironment } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";
import { eachStore, refusal } from "../support/stores.js";

type Data = Record<string, unknown>;
const said = { role: "user", content: "Hi" } as const;

/** Short, since these wait for hooks that never end. */
const deadlineMs = 50;

function hooked(hooks: PersistenceHooks<Data>, options: Partial<ManagerOptions<Data>> = {}) {
  const { adapter = mapAdapter() } = options;
  const plain = new PersistenceManager<Data>({ adapter });
  return { adapter, plain, persistence: new PersistenceManager<Data>({ ...options, adapter, hooks }) };
}

/** Writes down what each hook is told. */
function recorder() {
  const calls: unknown[] = [];
  const note =
    (name: string) => (event: { signal: AbortSignal; session?: { id?: string | undefined } | undefined }) => {
      const { session } = event;
      calls.push([
        name,
        { ...event, signal: undefined, ...(session === undefined ? {} : { session: session.id }) },
      ]);
    };
  const hooks: PersistenceHooks<Data> = {
    beforeSave: note("beforeSave"),
    afterSave: note("afterSave"),
    beforeLoad: note("beforeLoad"),
    afterLoad: note("afterLoad"),
    beforeDelete: note("beforeDelete"),
    afterDelete: note("afterDelete"),
  };
  return { calls, hooks };
}

describe.each(eachStore())("hooks on %s", (_name, open) => {
  it("are called around each save, load and delete", async () => {
    const { calls, hooks } = recorder();
    const { persistence } = hooked(hooks, { adapter: open() });
    const of = (operation: string) => ({ operation, sessionId: "s" });
    const around = (what: string, event: object, after = event) => {
      expect(calls.splice(0)).toEqual([
        [`before${what}`, event],
        [`after${what}`, after],
      ]);
    };
    const session = createSession<Data>();
    await persistence.saveSessionState("s", session);
    around("Save", { ...of("saveSessionState"), session: "s", messages: [] });
    await persistence.saveTurn({ session, messages: [said] });
    around("Save", { ...of("saveTurn"), session: "s", messages: [said] });
    await persistence.saveMessage({ sessionId: "s", ...said });
    around("Save", { ...of("saveMessage"), messages: [{ sessionId: "s", ...said }] });
    await persistence.updateCollectedData("s", { a: 1 });
    around("Save", { ...of("updateCollectedData"), messages: [] });
    await persistence.updateSessionStatus("s", "completed");
    around("Save", { ...of("updateSessionStatus"), messages: [], status: "completed" });
    await persistence.loadSessionState("s");
    around("Load", of("loadSessionState"), {
      ...of("loadSessionState"),
      session: "s",
      messages: [],
    } as never);
    const history = await persistence.loadSessionHistory("s");
    around("Load", of("loadSessionHistory"), { ...of("loadSessionHistory"), messages: history } as never);
    await persistence.findSessionById("s");
    expect(calls).toEqual([]);
    await persistence.deleteSession("s");
    around("Delete", of("deleteSession"));
    await persistence.deleteSession("s");
    await persistence.loadSessionState("s");
    expect(calls.map((call) => (call as string[])[0])).toEqual(["beforeDelete", "beforeLoad"]);
  });

  it("before refuse by a throw, and nothing happens", async () => {
    const no = () => {
      throw new RangeError("no");
    };
    const adapter = open();
    const { plain, persistence } = hooked({ beforeSave: no, beforeLoad: no, beforeDelete: no }, { adapter });
    const session = createSession<Data>({ id: "s" });
    for (const [work, name] of [
      [() => persistence.saveTurn({ session }), "beforeSave"],
      [() => persistence.saveMessage({ sessionId: "s", ...said }), "beforeSave"],
      [() => persistence.updateSessionStatus("s", "completed"), "beforeSave"],
      [() => persistence.loadSessionState("s"), "beforeLoad"],
      [() => persistence.deleteSession("s"), "beforeDelete"],
    ] as const) {
      const error = await refusal(work());
      expect(error).toMatchObject({ code: "HOOK_FAILED", sessionId: "s", cause: new RangeError("no") });
      expect(error.message).toMatch(new RegExp(`${name} failed \\[RangeError\\]; nothing was`));
    }
    expect(session.version).toBeUndefined();
    expect(await plain.loadSessionState("s")).toBeNull();
  });

  it("after say that it is stored all the same", async () => {
    const no = () => Promise.reject(new Error("no"));
    const { plain, persistence } = hooked({ afterSave: no, afterDelete: no }, { adapter: open() });
    const session = createSession<Data>({ id: "s" });
    const saving = await refusal(persistence.saveTurn({ session, messages: [said], operationId: "one" }));
    expect(saving).toMatchObject({ code: "HOOK_FAILED", operation: "saveTurn" });
    expect(saving.message).toContain("what was saved is stored");
    expect(await plain.loadSessionHistory("s")).toHaveLength(1);
    expect(session.version).toBeDefined();
    const deleting = await refusal(persistence.deleteSession("s"));
    expect(deleting.message).toContain("the session is deleted");
    expect(await plain.loadSessionState("s")).toBeNull();
  });

  it("that are not asked for the id that cannot be", async () => {
    const { calls, hooks } = recorder();
    const { persistence } = hooked(hooks, { adapter: open() });
    for (const work of [
      persistence.loadSessionState(""),
      persistence.deleteSession(""),
      persistence.updateSessionStatus("", "active"),
      persistence.saveSessionState("", createSession<Data>()),
    ])
      expect((await refusal(work)).code).toBe("INVALID_ID");
    expect(calls).toEqual([]);
  });
});

describe("a hook", () => {
  it("keeps the order of the calls, however long it takes", async () => {
    const waits: (() => void)[] = [];
    const { plain, persistence } = hooked({
      beforeSave: ({ messages }) =>
        messages[0]?.content === "first" ? new Promise<void>((resolve) => waits.push(resolve)) : undefined,
    });
    await plain.saveSessionState("s", createSession<Data>());
    const calls = ["first", "second", "third"].map((content) =>
      persistence.saveMessage({ sessionId: "s", role: "user", content }),
    );
    await plain.loadSessionState("s");
    expect(waits).toHaveLength(1);
    waits[0]?.();
    expect((await Promise.all(calls)).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect((await plain.loadSessionHistory("s")).map(({ content }) => content)).toEqual([
      "first",
      "second",
      "third",
    ]);
  });

  it("may change a state that was loaded", async () => {
    const { plain, persistence } = hooked({
      afterLoad: ({ session }) => {
        if (session !== undefined) session.data["seen"] = true;
      },
    });
    await plain.saveSessionState("s", createSession<Data>());
    const session = await persistence.loadSessionState("s");
    expect(session?.data).toEqual({ seen: true });
    if (session !== null) await persistence.saveTurn({ session });
    expect((await plain.loadSessionState("s"))?.data).toEqual({ seen: true });
  });

  it.each([
    "beforeSave",
    "validate",
    "beforeLoad",
    "beforeDelete",
    "afterSave",
    "afterDelete",
    "afterLoad",
  ] as const)("%s that never ends is given up, and told so", async (name) => {
    const signals: AbortSignal[] = [];
    const never = ({ signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    };
    const { plain, persistence } = hooked({ [name]: never }, { deadlineMs });
    const session = await plain.saveSessionState("s", createSession<Data>());
    const work = name.endsWith("Load")
      ? persistence.loadSessionState("s")
      : name.endsWith("Delete")
        ? persistence.deleteSession("s")
        : persistence.saveTurn({ session });
    const error = await refusal(work);
    expect(error.code).toBe("HOOK_FAILED");
    expect(error.message).toContain(`${name} did not end within ${deadlineMs} ms`);
    expect(signals.map(({ aborted, reason }) => [aborted, reason === error])).toEqual([[true, true]]);
    // The session is not held by it.
    await plain.saveSessionState("t", createSession<Data>());
    await plain.deleteSession("s");
  });

  it.each(["beforeSave", "validate", "beforeDelete"] as const)(
    "%s that waits for a save of its own session is given up, with the save that it waited for",
    async (name) => {
      let runs = 0;
      const hook = async () => {
        runs++;
        await persistence.saveMessage({ sessionId: "s", ...said });
      };
      const { plain, persistence } = hooked(
        {
          beforeSave: hook,
          ...(name === "validate" ? { validate: hook, beforeSave: undefined } : {}),
          beforeDelete: hook,
        },
        { deadlineMs },
      );
      const session = await plain.saveSessionState("s", createSession<Data>());
      const error = await refusal(
        name === "beforeDelete" ? persistence.deleteSession("s") : persistence.saveTurn({ session }),
      );
      expect(error.code).toBe("HOOK_FAILED");
      expect(error.message).toContain("it may wait for a call on its own session");
      // Others go on, and at once.
      expect(await plain.saveMessage({ sessionId: "s", ...said })).toMatchObject({
        sequence: expect.any(Number),
      });
      expect(runs).toBe(1);
    },
  );

  it("may save other sessions, and after a save also its own", async () => {
    const done: string[] = [];
    const { plain, persistence } = hooked({
      beforeSave: async ({ sessionId, operation }) => {
        if (sessionId === "s" && operation === "saveSessionState")
          await persistence.saveSessionState("audit", createSession<Data>());
      },
      afterSave: async ({ sessionId, operation }) => {
        done.push(sessionId);
        if (sessionId === "s" && operation === "saveSessionState")
          await persistence.saveMessage({ sessionId, role: "system", content: "saved" });
      },
    });
    await persistence.saveSessionState("s", createSession<Data>());
    expect(done).toEqual(["audit", "s", "s"]);
    expect(await plain.loadSessionHistory("s")).toMatchObject([{ content: "saved" }]);
  });

  it("that saves its own session after each save is stopped, with an error", async () => {
    const { persistence } = hooked({
      afterSave: async ({ sessionId }) => {
        await persistence.saveMessage({ sessionId, ...said });
      },
    });
    const error = await refusal(persistence.saveSessionState("s", createSession<Data>()));
    expect(error.code).toBe("HOOK_FAILED");
    let cause: unknown = error;
    while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause;
    expect(String(cause)).toContain("1000 times at once");
  });

  it("that loads its own session before each load is stopped, with an error", async () => {
    const { persistence } = hooked({
      beforeLoad: async ({ sessionId }) => {
        await persistence.loadSessionState(sessionId);
      },
    });
    expect((await refusal(persistence.loadSessionState("s"))).code).toBe("HOOK_FAILED");
  });

  it.each<[string, object]>([
    ["has another name", { beforeSaving: () => {} }],
    ["is no function", { beforeSave: "log" }],
  ])("that %s is found at once", (_what, hooks) => {
    expect(() => hooked(hooks)).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
  });
});

describe.each(eachStore())("validation on %s", (_name, open) => {
  const upper: PersistenceHooks<Data> = {
    validate: ({ session }) => {
      const { name } = session.data;
      if (name === "nobody") return [{ path: ["data", "name"], message: "is nobody" }];
      if (typeof name === "string") session.data["name"] = name.toUpperCase();
      return undefined;
    },
  };

  it("may change what is stored, and the object with it", async () => {
    const { plain, persistence } = hooked(upper, { adapter: open() });
    const session = createSession<Data>({ id: "s", data: { name: "ada", n: 1 } });
    await persistence.saveTurn({ session });
    expect(session.data).toEqual({ name: "ADA", n: 1 });
    expect((await plain.loadSessionState("s"))?.data).toEqual({ name: "ADA", n: 1 });
    const { version } = session;
    await persistence.saveTurn({ session });
    expect(session.version).toBe(version);
  });

  it("may refuse, by naming what is wrong", async () => {
    const { plain, persistence } = hooked(upper, { adapter: open() });
    const session = createSession<Data>({ id: "s", data: { name: "nobody" } });
    const error = await refusal(persistence.saveTurn({ session, messages: [said] }));
    expect(error).toMatchObject({ code: "INVALID_STATE", sessionId: "s" });
    expect(error instanceof ValidationError && error.issues).toEqual([
      { path: ["data", "name"], message: "is nobody" },
    ]);
    expect(error.message).toContain("data.name");
    expect(await plain.loadSessionState("s")).toBeNull();
  });

  it("looks at what was merged, and the schema looks at what it made", async () => {
    const seen: unknown[] = [];
    const { adapter, plain, persistence } = hooked(
      {
        validate: ({ session }) => {
          seen.push({ ...session.data });
          if (session.data["a"] === 2 && session.data["b"] === 2) session.data["a"] = "wrong";
        },
      },
      { adapter: open(), schema: { a: z.number() } },
    );
    await plain.saveSessionState("s", createSession<Data>({ data: { a: 1, b: 1 } }));
    const mine = await persistence.loadSessionState("s");
    const theirs = await plain.loadSessionState("s");
    if (mine === null || theirs === null) throw new Error("not there");
    theirs.data["b"] = 2;
    await plain.saveTurn({ session: theirs });
    const row = await adapter.sessionRepository.findById("s");
    mine.data["a"] = 2;
    expect((await refusal(persistence.saveTurn({ session: mine }))).code).toBe("INVALID_STATE");
    expect(seen).toEqual([
      { a: 2, b: 1 },
      { a: 2, b: 2 },
    ]);
    expect(await adapter.sessionRepository.findById("s")).toEqual(row);
  });
});

describe("onError and onSlow", () => {
  it("are told of what failed, with the call", async () => {
    const told: unknown[] = [];
    const { persistence } = hooked({
      onError: (event) => {
        told.push(event);
        throw new Error("ignored");
      },
    });
    const error = await refusal(persistence.saveMessage({ sessionId: "s", ...said }));
    expect(told).toEqual([{ operation: "saveMessage", sessionId: "s", error }]);
    await persistence.loadSessionState("s");
    const other = await refusal(persistence.findSessionsByUserId(""));
    expect(told.slice(1)).toEqual([
      { operation: "findSessionsByUserId", sessionId: undefined, error: other },
    ]);
    await persistence.close();
    await refusal(persistence.loadSessionState("s"));
  });

  it("are told of what took long, with the threshold", async () => {
    const environment = testEnvironment();
    const adapter = mapAdapter();
    const told: unknown[] = [];
    const onSlow = (event: unknown) => {
      told.push(event);
      return Promise.reject(new Error("ignored"));
    };
    const { persistence } = hooked({ onSlow }, { adapter, environment, slowMs: 200 });
    let takes = 199;
    adapter.after = (call) => {
      if (call === "create") environment.advance(takes);
    };
    await persistence.saveSessionState("s", createSession<Data>());
    expect(told).toEqual([]);
    takes = 200;
    await persistence.saveSessionState("t", createSession<Data>());
    expect(told).toEqual([
      { operation: "saveSessionState", sessionId: "t", durationMs: 200, thresholdMs: 200 },
    ]);
    for (const slowMs of [-1, Number.NaN, "1"])
      expect(() => hooked({}, { slowMs: slowMs as number })).toThrow("`slowMs`");
  });
});

it("a turn whose hook failed after it was stored can be saved again, and is stored once", async () => {
  const adapter = mapAdapter();
  let isBroken = true;
  const agent = new Agent({
    name: "a",
    provider: scriptedModel(["Hello"]),
    persistence: {
      adapter,
      hooks: {
        afterSave: ({ messages }) => {
          if (messages.length > 0 && isBroken) throw new Error("no");
        },
      },
    },
  });
  const session = agent.createSession({ id: "s" });
  const error = await refusal(agent.respond({ history: [said], session }));
  if (!(error instanceof TurnNotSavedError)) throw error;
  expect(error.cause).toMatchObject({ code: "HOOK_FAILED" });
  isBroken = false;
  expect((await error.save()).saved).toMatchObject({ first: 1, last: 2, replayed: true });
  expect(await agent.getPersistenceManager().loadSessionHistory("s")).toHaveLength(2);
});
