import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { AgentHooks } from "../../src/agent/hooks.js";
import type { CompletionContext } from "../../src/agent/route.js";
import { TurnNotSavedError } from "../../src/agent/turn-not-saved.js";
import { StorageError } from "../../src/errors.js";
import type { PersistenceOptions } from "../../src/persistence/options.js";
import type { SessionHandle } from "../../src/session/handle.js";
import { type ScriptedReply, scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";
import { refusal } from "../support/stores.js";

const schema = { name: z.string(), guests: z.number() };
type Data = { name: string; guests: number };
interface Context {
  readonly theme: string;
  readonly visits?: number;
}
type Hooks = AgentHooks<Data, Context>;

const context: Context = { theme: "light" };
const said = [{ role: "user", content: "Ada" }] as const;
/** Short, since these wait for hooks that never end. */
const deadlineMs = 50;
const never = () => new Promise<never>(() => {});

interface Setup {
  readonly persistence?: Partial<PersistenceOptions<Data>>;
  readonly script?: readonly ScriptedReply[];
  readonly onComplete?: (context: CompletionContext<Data, Context>) => void;
}

function bookings(hooks: Hooks, { persistence, script, onComplete = () => {} }: Setup = {}) {
  const adapter = mapAdapter();
  const model = scriptedModel(
    script ?? [
      { message: "How many?", data: { name: "Ada" }, step: "guests" },
      { message: "Done.", data: { guests: 4 }, step: null },
    ],
  );
  const agent = new Agent({
    name: "Bookings",
    provider: model,
    schema,
    context,
    hooks,
    routes: [
      {
        id: "booking",
        steps: [
          { id: "name", prompt: "?", collect: ["name"] },
          { id: "guests", prompt: "?", collect: ["guests"] },
        ],
        onComplete,
      },
    ],
    ...(persistence === undefined ? {} : { persistence: { adapter, ...persistence } }),
  });
  return { adapter, agent, model };
}

async function unfinished(work: Promise<unknown>): Promise<TurnNotSavedError> {
  const error = await refusal(work);
  if (error instanceof TurnNotSavedError) return error;
  throw error;
}

describe("hooks of a turn", () => {
  it("are called in their order, and told of the turn", async () => {
    const calls: unknown[] = [];
    const { agent, model } = bookings(
      {
        beforeRespond: (given, { session, history, userId, signal }) => {
          calls.push(["before", given, session.version === undefined, history.length, userId]);
          expect([signal.aborted, model.requests.length]).toEqual([false, 0]);
          return { ...given, theme: "dark" };
        },
        onContextUpdate: (next, previous, { session }) => {
          calls.push(["update", next.theme, previous.theme, session.data.name]);
        },
        afterRespond: async ({ message, saved }, given, { session, userId }) => {
          calls.push(["after", message, saved?.last, given.theme, session.data.name, userId]);
          const messages = await agent.getPersistenceManager().loadSessionHistory("s");
          calls.push(messages.map(({ content }) => content));
        },
      },
      { persistence: { userId: "ada" } },
    );
    const session = agent.createSession({ id: "s" });
    const response = await agent.respond({ history: said, session });
    expect(calls).toEqual([
      ["before", context, false, 1, "ada"],
      ["update", "dark", "light", undefined],
      ["after", "How many?", 2, "dark", "Ada", "ada"],
      ["Ada", "How many?"],
    ]);
    expect(response.session).toBe(session);
    expect(response.saved).toMatchObject({ first: 1, last: 2 });
  });

  it("give conditions and callbacks the context that they made, for that turn only", async () => {
    const seen: unknown[] = [];
    const { agent } = bookings(
      { beforeRespond: async (given) => ({ ...given, visits: (given.visits ?? 0) + 1 }) },
      { onComplete: ({ context }) => void seen.push(context) },
    );
    const session = agent.createSession();
    await agent.respond({ history: said, session });
    await agent.respond({ history: said, session, context: { theme: "own" } });
    expect(seen).toEqual([{ theme: "own", visits: 1 }]);
  });

  it("may leave the context as it is, and then nobody is told of a change", async () => {
    const updates: unknown[] = [];
    const answers = [undefined, context];
    const { agent } = bookings({
      beforeRespond: () => answers.pop(),
      onContextUpdate: (next) => void updates.push(next),
      afterRespond: (_response, given) => expect(given).toBe(context),
    });
    const session = agent.createSession();
    await agent.respond({ history: said, session });
    await agent.respond({ history: said, session });
    expect([updates, answers]).toEqual([[], []]);
  });

  it("are told of a context that a callback gave the turn, once, when the turn is stored", async () => {
    const updates: unknown[] = [];
    const { agent } = bookings(
      {
        onContextUpdate: async (next, previous) => {
          const messages = await agent.getPersistenceManager().loadSessionHistory("s");
          updates.push([next, previous, messages.length]);
        },
        afterRespond: (_response, given) => void updates.push(given),
      },
      {
        persistence: {},
        script: [{ message: "Done.", data: { name: "Ada", guests: 2 }, step: null }],
        onComplete: ({ updateContext }) => {
          updateContext({ theme: "one" });
          updateContext({ theme: "two" });
        },
      },
    );
    await agent.respond({ history: said, session: agent.createSession({ id: "s" }) });
    expect(updates).toEqual([[{ theme: "two" }, context, 2], { theme: "two" }]);
  });

  it("may change the state before the turn, as part of it", async () => {
    const { agent } = bookings(
      { beforeRespond: (_context, { session }) => void (session.data.name = "Known") },
      { persistence: {}, script: [{ message: "Done.", data: { guests: 2 }, step: null }] },
    );
    await agent.respond({ history: said, session: agent.createSession({ id: "s" }) });
    const stored = await agent.getPersistenceManager().loadSessionState("s");
    expect(stored?.data).toEqual({ name: "Known", guests: 2 });
  });

  it("are called for a conversation in memory, with the handle already further", async () => {
    const counts: number[] = [];
    const { agent } = bookings({
      afterRespond: async (_response, _context, { userId }) => {
        counts.push((await session.messages()).length);
        expect(userId).toBeUndefined();
      },
    });
    const session = agent.session();
    await session.chat("Ada");
    await session.chat("4");
    expect(counts).toEqual([2, 4]);
  });

  it("of a name that there is not, or that are no functions, are refused", () => {
    const wrong: readonly [object, string][] = [
      [{ beforeResponse: () => {} }, "`hooks.beforeResponse`"],
      [{ afterRespond: 1 }, "`hooks.afterRespond`"],
    ];
    for (const [hooks, named] of wrong) {
      const make = () => Reflect.construct(Agent, [{ name: "A", provider: scriptedModel([]), hooks }]);
      expect(make).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
      expect(make).toThrow(named);
    }
  });
});

describe("a patch of a hook", () => {
  it("is no conflict with its turn where the store's answer to it was lost", async () => {
    const { agent, adapter } = bookings(
      {
        beforeRespond: async () => {
          let lost = 0;
          adapter.after = (call) => {
            if (call === "update" && lost++ === 0)
              throw new StorageError("STORAGE_UNAVAILABLE", "gone", { operation: "update" });
          };
          await agent.getPersistenceManager().updateCollectedData("s", { guests: 3 });
          expect(lost).toBe(1);
        },
      },
      { persistence: { conflict: "reject" } },
    );
    const session = agent.createSession({ id: "s" });
    const { saved } = await agent.respond({ history: said, session });
    expect(saved).toMatchObject({ first: 1, last: 2 });
    expect(session.data).toEqual({ name: "Ada", guests: 3 });
    expect(await agent.getPersistenceManager().loadSessionState("s")).toEqual(session);
  });

  it("does not overwrite what the application has changed and not saved", async () => {
    const { agent } = bookings(
      {
        beforeRespond: async (_context, { session }) => {
          session.data.guests = 5;
          await agent.getPersistenceManager().updateCollectedData("s", { guests: 3 });
        },
      },
      { persistence: { conflict: "reject" } },
    );
    const session = agent.createSession({ id: "s" });
    await agent.respond({ history: said, session });
    expect(session.data.guests).toBe(5);
    expect(await agent.getPersistenceManager().loadSessionState("s")).toEqual(session);
  });

  it("of another session changes nothing here", async () => {
    const { agent } = bookings(
      {
        beforeRespond: async () =>
          void (await agent.getPersistenceManager().updateCollectedData("s", { guests: 3 })),
      },
      { persistence: {} },
    );
    const session = agent.createSession();
    await agent.getPersistenceManager().saveSessionState("s", agent.createSession());
    await agent.respond({ history: said, session });
    expect(session.data).toEqual({ name: "Ada" });
  });
});

describe("a hook before the model is asked", () => {
  const ways = {
    "throws in beforeRespond": {
      beforeRespond: () => {
        throw new TypeError("no");
      },
    },
    "throws in onContextUpdate": {
      beforeRespond: () => ({ theme: "dark" }),
      onContextUpdate: () => Promise.reject(new TypeError("no")),
    },
    "never ends": { beforeRespond: never },
    "never ends in onContextUpdate": {
      beforeRespond: () => ({ theme: "dark" }),
      onContextUpdate: never,
    },
  } satisfies Record<string, Hooks>;

  it.each(Object.entries(ways))(
    "that %s fails the call, and the session is as before",
    async (way, hooks) => {
      const { agent, model } = bookings(hooks, { persistence: { deadlineMs } });
      const session = agent.createSession({ id: "s", data: { name: "Ada" } });
      await agent.getPersistenceManager().saveSessionState("s", session);
      const before = structuredClone(session);
      const error = await refusal(agent.respond({ history: said, session }));
      expect(error).toMatchObject({ code: "HOOK_FAILED", operation: "respond", sessionId: "s" });
      expect(error.message).toMatch(/(beforeRespond|onContextUpdate) .*; the model was not asked$/);
      if (way.startsWith("throws")) expect(error.cause).toBeInstanceOf(TypeError);
      expect(session).toEqual(before);
      expect(model.requests).toHaveLength(0);
      expect(await agent.getPersistenceManager().loadSessionState("s")).toEqual(before);
    },
  );

  it("is told to stop when it takes too long, and when the caller does not want the turn any more", async () => {
    const reasons: unknown[] = [];
    const wait: Hooks["beforeRespond"] = (_context, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          reasons.push(signal.reason);
          reject(signal.reason);
        });
        begun();
      });
    let begun = () => {};
    const slow = bookings({ beforeRespond: wait }, { persistence: { deadlineMs } }).agent;
    const late = await refusal(slow.respond({ history: said, session: slow.createSession() }));
    expect(late.code).toBe("HOOK_FAILED");
    expect(reasons).toEqual([late]);

    const { agent, model } = bookings({ beforeRespond: wait });
    const stop = new AbortController();
    begun = () => stop.abort("enough");
    const work = agent.respond({ history: said, session: agent.createSession(), signal: stop.signal });
    expect(await refusal(work)).toMatchObject({ code: "ABORTED", cause: "enough" });
    expect(reasons[1]).toBe("enough");
    expect(model.requests).toHaveLength(0);
  });

  it("that minds no signal does not hold an aborted turn", async () => {
    const stop = new AbortController();
    const { agent } = bookings({
      beforeRespond: () => {
        stop.abort();
        return never();
      },
    });
    const work = agent.respond({ history: said, session: agent.createSession(), signal: stop.signal });
    expect((await refusal(work)).code).toBe("ABORTED");
  });

  it("does not use up the model's time", async () => {
    const { agent } = bookings({
      beforeRespond: () => new Promise((resolve) => void setTimeout(() => resolve(undefined), 60)),
    });
    const turn = agent.respond({ history: said, session: agent.createSession(), timeoutMs: 50 });
    expect((await turn).message).toBe("How many?");
  });

  it("that waits for a turn of its own session is given up, with all that it began", async () => {
    let calls = 0;
    const inner: Promise<unknown>[] = [];
    const waiting = (again: () => Promise<unknown>): Hooks => ({
      beforeRespond: async () => {
        calls++;
        const work = again();
        inner.push(work.catch((error: unknown) => error));
        await work;
      },
    });
    const chatting = bookings(
      waiting(() => chatting.agent.session("s").chat("again")),
      { persistence: { deadlineMs } },
    );
    expect((await refusal(chatting.agent.session("s").chat("Ada"))).code).toBe("HOOK_FAILED");
    expect(await Promise.all(inner)).toMatchObject([{ code: "HOOK_FAILED" }]);

    const responding = bookings(
      waiting(() => responding.agent.respond({ history: said, session })),
      { persistence: { deadlineMs } },
    );
    const session = responding.agent.createSession();
    expect((await refusal(responding.agent.respond({ history: said, session }))).code).toBe("HOOK_FAILED");
    expect(await Promise.all(inner)).toMatchObject([{ code: "HOOK_FAILED" }, { code: "HOOK_FAILED" }]);
    expect([calls, chatting.model.requests, responding.model.requests]).toEqual([2, [], []]);
  });
});

describe("a hook after the model has answered", () => {
  const failing = (times: number, log: string[]): Hooks => {
    let left = times;
    return {
      onContextUpdate: () => void log.push("update"),
      afterRespond: ({ saved }) => {
        log.push(saved === undefined ? "after" : "after saved");
        if (left-- > 0) throw new RangeError("no");
      },
    };
  };
  const changed: Setup = {
    script: [{ message: "Done.", data: { name: "Ada", guests: 2 }, step: null }],
    onComplete: ({ updateContext }) => updateContext({ theme: "dark" }),
  };

  it("that throws loses no answer: the turn is stored, and `save()` calls the hook again", async () => {
    const log: string[] = [];
    const { agent } = bookings(failing(2, log), { persistence: {}, ...changed });
    const session = agent.createSession({ id: "s" });
    const error = await unfinished(agent.respond({ history: said, session }));
    expect(error).toMatchObject({
      code: "TURN_NOT_SAVED",
      retryable: false,
      cause: { code: "HOOK_FAILED", cause: expect.any(RangeError) },
      response: { message: "Done.", session, saved: { first: 1, last: 2 } },
    });
    expect(error.message).toContain("a hook of the agent failed [HOOK_FAILED]");
    const persistence = agent.getPersistenceManager();
    expect(await persistence.loadSessionState("s")).toEqual(session);
    expect(await refusal(error.save())).toBeInstanceOf(TurnNotSavedError);
    expect(await error.save()).toBe(error.response);
    expect(await error.save()).toBe(error.response);
    expect(log).toEqual(["update", "after saved", "after saved", "after saved"]);
    expect(await persistence.loadSessionHistory("s")).toHaveLength(2);
  });

  it("that throws loses no answer where nothing is stored", async () => {
    const log: string[] = [];
    const { agent } = bookings(failing(1, log), changed);
    const session = agent.createSession();
    const error = await unfinished(agent.respond({ history: said, session }));
    expect(error.response).toMatchObject({ message: "Done.", session });
    expect(session.data).toEqual({ name: "Ada", guests: 2 });
    expect((await error.save()).saved).toBeUndefined();
    expect(log).toEqual(["update", "after", "after"]);
  });

  it("that throws leaves a handle's conversation whole, in memory too", async () => {
    for (const id of ["s", undefined]) {
      const { agent } = bookings(failing(1, []), { persistence: {}, ...changed });
      const session = agent.session(id);
      const told: unknown[] = [];
      session.on("messageAdded", ({ content }) => told.push(content));
      expect((await unfinished(session.chat("Ada"))).response.message).toBe("Done.");
      expect((await session.messages()).map(({ content }) => content)).toEqual(["Ada", "Done."]);
      expect((await session.state()).data).toEqual({ name: "Ada", guests: 2 });
      expect(told).toEqual(["Ada", "Done."]);
    }
  });

  it("that never ends is given up, and its answer is there", async () => {
    const hooks = { afterRespond: never, onContextUpdate: () => {} };
    const { agent } = bookings(hooks, { persistence: { deadlineMs }, ...changed });
    const error = await unfinished(agent.session("s").chat("Ada"));
    expect(error).toMatchObject({ cause: { code: "HOOK_FAILED" }, response: { saved: { last: 2 } } });

    const stuck = bookings({ onContextUpdate: never }, { persistence: { deadlineMs }, ...changed }).agent;
    const other = await unfinished(stuck.session("s").chat("Ada"));
    expect(other.cause).toMatchObject({
      message: expect.stringContaining("onContextUpdate did not end within 50 ms"),
    });
    expect(other.response.saved).toMatchObject({ last: 2 });
  });

  it("is called when a turn that was not stored is stored at last, and not before", async () => {
    const log: string[] = [];
    const { agent, adapter } = bookings(failing(0, log), { persistence: {}, ...changed });
    const session = agent.createSession({ id: "s" });
    await agent.getPersistenceManager().saveSessionState("s", session);
    adapter.before = (call) => {
      if (call === "update") throw new StorageError("STORAGE_FAILED", "down", { operation: "update" });
    };
    const error = await unfinished(agent.respond({ history: said, session }));
    expect([log, error.response.saved]).toEqual([[], undefined]);
    adapter.before = () => {};
    expect((await error.save()).saved).toMatchObject({ last: 2 });
    expect(log).toEqual(["update", "after saved"]);
  });

  it("that fails when the turn is stored at last is called again, and the turn is not stored again", async () => {
    let calls = 0;
    const { agent, adapter } = bookings(
      {
        afterRespond: async () => {
          await agent.getPersistenceManager().updateCollectedData("s", { guests: ++calls });
          if (calls < 3) throw new RangeError("no");
        },
      },
      { persistence: {} },
    );
    const session = agent.createSession({ id: "s" });
    await agent.getPersistenceManager().saveSessionState("s", session);
    adapter.before = (call) => {
      if (call === "update") throw new StorageError("STORAGE_FAILED", "down", { operation: "update" });
    };
    const error = await unfinished(agent.respond({ history: said, session }));
    adapter.before = () => {};
    for (const call of [1, 2]) {
      const { response, cause } = await unfinished(error.save());
      expect([calls, response.saved?.replayed]).toEqual([call, false]);
      expect(cause).toMatchObject({ code: "HOOK_FAILED" });
    }
    expect((await error.save()).saved).toMatchObject({ first: 1, last: 2, replayed: false });
    expect(await agent.getPersistenceManager().loadSessionState("s")).toEqual(session);
    expect(session.data).toEqual({ name: "Ada", guests: 3 });
  });

  it("may take the next turn of its own session and wait for it", async () => {
    let turns = 0;
    const { agent } = bookings(
      { afterRespond: async () => void (++turns < 3 && (await handle.chat(`turn ${turns}`))) },
      { persistence: {}, script: ["a", "b", "c"].map((message) => ({ message, step: "name" })) },
    );
    const handle: SessionHandle<Data> = agent.session("s");
    expect((await handle.chat("turn 0")).message).toBe("a");
    expect((await handle.messages()).map(({ content }) => content)).toEqual([
      ...["turn 0", "a", "turn 1", "b", "turn 2", "c"],
    ]);
  });

  it("that takes another turn each time is stopped", async () => {
    const { agent } = bookings(
      { afterRespond: async () => void (await agent.respond({ history: said, session })) },
      { script: Array.from({ length: 1001 }, () => ({ message: "a", step: "name" })) },
    );
    const session = agent.createSession();
    const messages: string[] = [];
    let cause: unknown = await refusal(agent.respond({ history: said, session }));
    for (; cause instanceof Error; cause = cause.cause) messages.push(cause.message);
    expect(messages).toHaveLength(2002);
    expect(messages.at(-1)).toContain("afterRespond was called 1000 times at once");
  }, 60_000);
});
