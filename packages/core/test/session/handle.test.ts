import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import { StorageError } from "../../src/errors.js";
import type { PersistenceOptions } from "../../src/persistence/options.js";
import { type ScriptFunction, type ScriptedReply, scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

type Persistence = {
  persistence?: PersistenceOptions<{ words: string[]; end: boolean }>;
  sessionId?: string;
  historyLimit?: number;
};

function agentOf(script: readonly ScriptedReply[] | ScriptFunction, options: Persistence = {}) {
  const model = scriptedModel(script);
  const agent = new Agent({
    name: "Echo",
    provider: model,
    schema: { words: z.array(z.string()), end: z.boolean() },
    routes: [{ id: "talk", steps: [{ id: "open", prompt: "?", collect: ["words", "end"] }] }],
    ...options,
  });
  return { agent, model };
}

/** Answers with what was said, and keeps all that the person said. */
const echo: ScriptFunction = ({ history }) => {
  const words = history.filter(({ role }) => role === "user").map(({ content }) => content);
  return { message: `You said ${words.at(-1)}`, data: { words }, step: "open" };
};

/** One that never leaves its step, so that the position is no matter here. */
const counting: ScriptFunction = ({ history }) => `${history.length}`;

describe("a session handle with an id", () => {
  it("keeps a conversation that another handle, of another agent, goes on with", async () => {
    const adapter = mapAdapter();
    const first = agentOf(counting, { persistence: { adapter } }).agent.session("s");
    const response = await first.chat("one");
    expect(response.saved).toMatchObject({ first: 1, last: 2 });
    expect((await first.chat("two")).message).toBe("3");
    const second = agentOf(counting, { persistence: { adapter } }).agent.session("s");
    expect((await second.messages()).map(({ content }) => content)).toEqual(["one", "1", "two", "3"]);
    expect((await second.chat("three")).message).toBe("5");
    expect((await first.chat("four")).message).toBe("7");
    expect((await first.messages({ limit: 2 })).map(({ content }) => content)).toEqual(["four", "7"]);
  });

  it("reads nothing before it is needed", async () => {
    const adapter = mapAdapter();
    adapter.before = () => {
      throw new Error("not yet");
    };
    const { agent } = agentOf(counting, { persistence: { adapter } });
    expect(agent.session("s").id).toBe("s");
  });

  it("has a state before anything is stored, and stores nothing by being looked at", async () => {
    const adapter = mapAdapter();
    const session = agentOf(counting, { persistence: { adapter } }).agent.session("s");
    expect(await session.state()).toMatchObject({ id: "s", data: {}, routeHistory: [] });
    expect(await session.messages()).toEqual([]);
    expect(await session.delete()).toBe(false);
    expect(adapter.rows.size).toBe(0);
  });

  it("takes the calls of one session in their order, also from several handles", async () => {
    const { agent } = agentOf(echo, { persistence: { adapter: mapAdapter() } });
    const texts = Array.from({ length: 10 }, (_, index) => `m${index}`);
    const answers = await Promise.all(texts.map((text) => agent.session("s").chat(text)));
    expect(answers.map(({ message }) => message)).toEqual(texts.map((text) => `You said ${text}`));
    const messages = await agent.session("s").messages();
    expect(messages.map(({ content }) => content)).toEqual(
      texts.flatMap((text) => [text, `You said ${text}`]),
    );
    expect((await agent.session("s").state()).data.words).toEqual(texts);
  });

  it("shows the model a bounded part of the history", async () => {
    const { agent, model } = agentOf(counting, { persistence: { adapter: mapAdapter() }, historyLimit: 2 });
    const session = agent.session("s");
    for (const text of ["a", "b", "c"]) await session.chat(text);
    expect(model.requests.at(-1)?.history.map(({ content }) => content)).toEqual(["b", "3", "c"]);
  });

  it("stores its turns whatever autoSave says", async () => {
    const { agent } = agentOf(counting, { persistence: { adapter: mapAdapter(), autoSave: false } });
    await agent.session("s").chat("one");
    expect(await agent.session("s").messages()).toHaveLength(2);
  });

  it("goes on from what is stored after a turn that failed", async () => {
    const adapter = mapAdapter();
    const lost = () => {
      adapter.before = () => {
        throw new StorageError("STORAGE_UNAVAILABLE", "down", { operation: "update" });
      };
      return "lost";
    };
    const { agent } = agentOf([new Error("down"), "hello", lost, "again"], { persistence: { adapter } });
    const session = agent.session("s");
    await expect(session.chat("one")).rejects.toMatchObject({ code: "MODEL_FAILED" });
    await session.chat("one");
    await expect(session.chat("two")).rejects.toMatchObject({ code: "TURN_NOT_SAVED" });
    adapter.before = () => {};
    await session.chat("two");
    expect((await session.messages()).map(({ content }) => content)).toEqual([
      "one",
      "hello",
      "two",
      "again",
    ]);
  });

  it("goes on with a session that another process has just begun", async () => {
    const adapter = mapAdapter();
    const { agent } = agentOf(counting, { persistence: { adapter } });
    const other = agentOf(counting, { persistence: { adapter } }).agent;
    let begun: Promise<unknown> | undefined;
    adapter.before = async (call) => {
      if (call !== "create" || begun !== undefined) return;
      begun = other.session("s").chat("first");
      await begun;
    };
    expect((await agent.session("s").chat("second")).message).toBe("3");
    expect(await agent.session("s").messages()).toHaveLength(4);
  });

  it("of one user is not there for another, who cannot take its id either", async () => {
    const { agent } = agentOf(counting, { persistence: { adapter: mapAdapter() } });
    await agent.session("s", { userId: "ada" }).chat("mine");
    const stranger = agent.session("s", { userId: "grace" });
    expect(await stranger.messages()).toEqual([]);
    expect((await stranger.state()).version).toBeUndefined();
    await expect(stranger.chat("hello")).rejects.toMatchObject({ code: "SESSION_EXISTS" });
    expect(await stranger.delete()).toBe(false);
    expect(await agent.session("s", { userId: "ada" }).messages()).toHaveLength(2);
  });

  it("can be deleted and begun anew", async () => {
    const { agent } = agentOf(counting, { persistence: { adapter: mapAdapter() } });
    const session = agent.session("s");
    await session.chat("one");
    expect(await session.delete()).toBe(true);
    expect(await session.messages()).toEqual([]);
    expect((await session.chat("two")).saved).toMatchObject({ first: 1, last: 2 });
  });

  it("refuses an id, an owner and a text that cannot be right", async () => {
    const { agent } = agentOf(counting, { persistence: { adapter: mapAdapter() } });
    expect(() => agent.session("")).toThrow(expect.objectContaining({ code: "INVALID_ID" }));
    expect(() => agent.session("s", { userId: "\0" })).toThrow(
      expect.objectContaining({ code: "INVALID_ID" }),
    );
    // @ts-expect-error a text is wanted
    await expect(agent.session("s").chat(1)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("a session handle without an id", () => {
  it("keeps its conversation in memory, also where there is persistence", async () => {
    const adapter = mapAdapter();
    const { agent } = agentOf(counting, { persistence: { adapter } });
    const session = agent.session();
    expect(session.id).toBeUndefined();
    await session.chat("one");
    expect((await session.chat("two")).message).toBe("3");
    expect((await session.messages({ limit: 1 }))[0]).toMatchObject({ sequence: 4, content: "3" });
    expect(await agent.session().messages()).toEqual([]);
    expect(adapter.rows.size).toBe(0);
    expect(await session.delete()).toBe(true);
    expect((await session.chat("three")).message).toBe("1");
  });

  it("does not keep what was said in a turn that failed", async () => {
    const { agent } = agentOf([new Error("down"), "hello"]);
    const session = agent.session();
    await expect(session.chat("one")).rejects.toMatchObject({ code: "MODEL_FAILED" });
    await session.chat("two");
    expect((await session.messages()).map(({ content }) => content)).toEqual(["two", "hello"]);
  });
});

describe("the agent's own session", () => {
  it("without a session id lives in this agent only", async () => {
    const adapter = mapAdapter();
    const { agent } = agentOf(counting, { persistence: { adapter } });
    await agent.chat("one");
    expect((await agent.chat("two")).message).toBe("3");
    expect((await agentOf(counting, { persistence: { adapter } }).agent.chat("one")).message).toBe("1");
    expect(adapter.rows.size).toBe(0);
  });

  it("with a session id and an adapter is kept by the adapter", async () => {
    const adapter = mapAdapter();
    const make = () => agentOf(counting, { persistence: { adapter }, sessionId: "own" }).agent;
    await make().chat("one");
    expect((await make().chat("two")).message).toBe("3");
    expect([...adapter.rows.keys()]).toEqual(["own"]);
  });

  it("is never used by respond", async () => {
    const adapter = mapAdapter();
    const { agent } = agentOf(counting, { persistence: { adapter }, sessionId: "own" });
    await agent.chat("one");
    const history = [{ role: "user", content: "x" }] as const;
    const { message, saved } = await agent.respond({ history, session: agent.createSession() });
    expect([message, saved]).toEqual(["1", undefined]);
    expect(await agent.session("own").messages()).toHaveLength(2);
  });
});
