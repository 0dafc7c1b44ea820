import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { Provider } from "../../src/agent/provider.js";
import { isWaymarkError } from "../../src/errors.js";
import { type ScriptFunction, scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

function agentOf(provider: Provider) {
  return new Agent({
    name: "Table",
    provider,
    schema: { name: z.string() },
    routes: [
      {
        id: "booking",
        steps: [
          { id: "name", prompt: "?", collect: ["name"] },
          { id: "end", prompt: "!" },
        ],
      },
      { id: "other", steps: [{ id: "name", prompt: "?", collect: ["name"] }] },
    ],
  });
}

const history = [{ role: "user", content: "Hi" }] as const;

/** Never answers, and does not listen. */
const deaf: ScriptFunction = () => new Promise(() => {});

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

describe("a model that fails", () => {
  it("leaves the session as it was, also after it has moved the turn on", async () => {
    const cause = new Error("overloaded");
    const agent = agentOf(scriptedModel([{ message: "?", route: "booking", data: { name: "Ada" } }, cause]));
    const session = agent.createSession({ metadata: { channel: "web" } });
    const { data, routeHistory } = session;
    const before = structuredClone(session);
    const error = await failure(agent.respond({ history, session }));
    expect(error).toMatchObject({ code: "MODEL_FAILED", operation: "respond", retryable: true, cause });
    expect(session).toEqual(before);
    expect(session.data).toBe(data);
    expect(session.routeHistory).toBe(routeHistory);
  });

  it("is told from one that never answers", async () => {
    const agent = agentOf(scriptedModel(deaf));
    const session = agent.createSession();
    const before = structuredClone(session);
    expect(await failure(agent.respond({ history, session, timeoutMs: 1 }))).toMatchObject({
      code: "MODEL_TIMEOUT",
      retryable: true,
    });
    expect(session).toEqual(before);
  });

  it("has one time for all the questions of a turn, and is told to stop", async () => {
    let stopped: AbortSignal | undefined;
    const agent = agentOf(
      scriptedModel([
        { message: "?", route: "booking", data: { name: "Ada" } },
        (_request, { signal }) => {
          stopped = signal;
          return new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(new Error("I stopped")));
          });
        },
      ]),
    );
    const error = await failure(agent.respond({ history, session: agent.createSession(), timeoutMs: 20 }));
    expect(error).toMatchObject({ code: "MODEL_TIMEOUT" });
    expect(stopped?.aborted).toBe(true);
  });

  it("is not waited for any longer when the caller's signal is aborted", async () => {
    const caller = new AbortController();
    const reason = new Error("the person left");
    const agent = agentOf(
      scriptedModel(() => {
        caller.abort(reason);
        return new Promise(() => {});
      }),
    );
    const session = agent.createSession();
    const work = agent.respond({ history, session, signal: caller.signal });
    expect(await failure(work)).toMatchObject({ code: "ABORTED", cause: reason });
    expect(session.currentRoute).toBeUndefined();
  });

  it("is not asked at all by a signal that was aborted before", async () => {
    const model = scriptedModel(["Hi"]);
    const agent = agentOf(model);
    const work = agent.respond({ history, session: agent.createSession(), signal: AbortSignal.abort() });
    expect(await failure(work)).toMatchObject({ code: "ABORTED" });
    expect(model.requests).toHaveLength(0);
  });

  it.each([
    ["nothing", undefined],
    ["a text", "Hi"],
    ["no message", {}],
    ["a message that is no text", { message: 1 }],
    ["a route that is no text", { message: "", route: 1 }],
    ["a route that nobody offered", { message: "", route: "elsewhere" }],
    ["a step that is no text", { message: "", step: {} }],
    ["data that is an array", { message: "", data: [] }],
    ["data that is null", { message: "", data: null }],
    ["a tool call without a name", { message: "", toolCalls: [{ id: "1" }] }],
    ["usage that is no number", { message: "", usage: { inputTokens: "1", outputTokens: 1 } }],
  ])("and answers with %s is refused", async (_name, answer) => {
    const broken = { name: "broken", generate: async () => answer };
    const agent = Reflect.construct(Agent, [
      {
        name: "Table",
        provider: broken,
        routes: [{ id: "a", steps: [{ id: "b", prompt: "?", collect: ["name"] }] }],
      },
    ]) as Agent;
    const session = agent.createSession();
    const before = structuredClone(session);
    const error = await failure(agent.respond({ history, session }));
    expect(error).toMatchObject({ code: "MODEL_INVALID", retryable: true });
    expect(isWaymarkError(error) && "issues" in error && error.issues).toHaveLength(1);
    expect(session).toEqual(before);
  });

  it("throws at once, or throws what is no error", async () => {
    const throwing = (value: unknown): Provider => ({
      name: "throwing",
      generate: () => {
        throw value;
      },
    });
    for (const value of [new TypeError("x"), "text", undefined]) {
      const agent = agentOf(throwing(value));
      const error = await failure(agent.respond({ history, session: agent.createSession() }));
      expect(error).toMatchObject({ code: "MODEL_FAILED" });
    }
  });

  it("does not store the turn; a new session stays, empty", async () => {
    const adapter = mapAdapter();
    const agent = new Agent({
      name: "Table",
      provider: scriptedModel([new Error("down"), "Hello"]),
      routes: [],
      persistence: { adapter },
    });
    const session = agent.createSession({ id: "s" });
    expect(await failure(agent.respond({ history, session }))).toMatchObject({ code: "MODEL_FAILED" });
    const manager = agent.getPersistenceManager();
    expect(await manager.loadSessionHistory("s")).toEqual([]);
    expect((await agent.respond({ history, session })).saved).toMatchObject({ first: 1, last: 2 });
  });
});

describe("a callback that throws", () => {
  it("fails the turn with its own error and leaves the session as it was", async () => {
    const cause = new Error("no table left");
    const agent = new Agent({
      name: "Table",
      provider: scriptedModel([{ message: "Done", data: { name: "Ada" }, step: null }]),
      routes: [
        {
          id: "booking",
          steps: [{ id: "name", prompt: "?", collect: ["name"] }],
          onComplete: ({ session }) => {
            session.data["reference"] = "R1";
            throw cause;
          },
        },
      ],
    });
    const session = agent.createSession();
    await expect(agent.respond({ history, session })).rejects.toBe(cause);
    expect(session.data).toEqual({});
    expect(session.routeHistory).toEqual([]);
  });
});

describe("arguments that cannot be right", () => {
  const agent = agentOf(scriptedModel(() => "Hi"));
  const good = { history, session: agent.createSession() };

  it.each([
    ["no session", { session: null }],
    ["a session that is none", { session: {} }],
    ["a history that is no list", { history: "Hi" }],
    ["a message without content", { history: [{ role: "user" }] }],
    ["no time", { timeoutMs: 0 }],
    ["endless time", { timeoutMs: Infinity }],
    ["saving without an id", { save: true }, "INVALID_CONFIGURATION"],
  ])("such as %s are refused", async (_name, wrong, code = "INVALID_ARGUMENT") => {
    const all: object = { ...good, ...wrong };
    const work = Reflect.apply(agent.respond, agent, [all]) as Promise<unknown>;
    expect(await failure(work)).toMatchObject({ code });
  });
});
