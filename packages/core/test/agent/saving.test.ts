import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import { TurnNotSavedError } from "../../src/agent/turn-not-saved.js";
import type { Message } from "../../src/contract/message.js";
import { StorageError } from "../../src/errors.js";
import type { PersistenceOptions } from "../../src/persistence/options.js";
import { createSession } from "../../src/state/session.js";
import { type ScriptedReply, scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

const schema = { name: z.string(), guests: z.number(), note: z.string() };
type Data = { name: string; guests: number; note: string };

function table(script: readonly ScriptedReply[], options: Omit<PersistenceOptions<Data>, "adapter"> = {}) {
  const adapter = mapAdapter();
  const model = scriptedModel(script);
  const agent = new Agent({
    name: "Table",
    provider: model,
    schema,
    routes: [
      {
        id: "booking",
        steps: [
          { id: "name", prompt: "?", collect: ["name"] },
          { id: "guests", prompt: "?", collect: ["guests"] },
          { id: "note", prompt: "?", collect: ["note"] },
        ],
      },
    ],
    persistence: { adapter, ...options },
  });
  return { adapter, model, agent, persistence: agent.getPersistenceManager() };
}

const user = (content: string): Message => ({ role: "user", content });

async function notSaved(work: Promise<unknown>): Promise<TurnNotSavedError> {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (error instanceof TurnNotSavedError) return error;
  throw new Error("expected a TurnNotSavedError", { cause: error });
}

const down = () => {
  throw new StorageError("STORAGE_UNAVAILABLE", "down", { operation: "update" });
};

describe("a turn", () => {
  it("is stored with its message, its answer, and where each was said", async () => {
    const { agent, persistence } = table([
      {
        message: "How many?",
        data: { name: "Ada" },
        step: "guests",
        usage: { inputTokens: 10, outputTokens: 2 },
      },
      {
        message: "Anything else?",
        data: { guests: 4 },
        step: "note",
        toolCalls: [{ id: "1", name: "look", input: {} }],
      },
    ]);
    const session = agent.createSession({ id: "s" });
    const first = await agent.respond({ history: [user("Ada")], session });
    expect(first.saved).toEqual({ version: session.version, first: 1, last: 2, replayed: false });
    expect(first.usage).toEqual({ inputTokens: 10, outputTokens: 2 });
    const history = await persistence.loadSessionHistory("s");
    const loaded = await persistence.loadSessionState("s");
    expect(loaded).toEqual(session);
    if (loaded === null) return;
    const second = await agent.respond({ history: [...history, user("We are 4")], session: loaded });
    expect(second.saved).toMatchObject({ first: 3, last: 4 });
    const messages = await persistence.loadSessionHistory("s");
    expect(messages.map(({ sequence, role, content, step }) => [sequence, role, content, step])).toEqual([
      [1, "user", "Ada", undefined],
      [2, "assistant", "How many?", "guests"],
      [3, "user", "We are 4", "guests"],
      [4, "assistant", "Anything else?", "note"],
    ]);
    expect(messages[3]).toMatchObject({
      route: "booking",
      toolCalls: [{ id: "1", name: "look", input: {} }],
    });
    expect((await persistence.loadSessionState("s"))?.data).toEqual({ name: "Ada", guests: 4 });
  });

  it("does not store a message twice that is stored already", async () => {
    const { agent, persistence } = table(["Hello"]);
    const session = await persistence.saveSessionState("s", agent.createSession());
    const stored = await persistence.saveMessage({ sessionId: "s", role: "user", content: "Hi" });
    const { saved } = await agent.respond({ history: [stored], session });
    expect(saved).toMatchObject({ first: 2, last: 2 });
  });

  it("can begin with the agent", async () => {
    const { agent, persistence } = table(["Hello, your name?"]);
    await agent.respond({ history: [], session: agent.createSession({ id: "s" }) });
    expect(await persistence.loadSessionHistory("s")).toMatchObject([{ role: "assistant", sequence: 1 }]);
  });

  it("of a new session is refused before the model is asked where the id is taken", async () => {
    const { agent, model, persistence } = table(["never"]);
    await persistence.saveSessionState("s", agent.createSession());
    const work = agent.respond({ history: [user("Hi")], session: agent.createSession({ id: "s" }) });
    await expect(work).rejects.toMatchObject({ code: "SESSION_EXISTS" });
    expect(model.requests).toHaveLength(0);
  });

  it("of a new session can be taken again when the store's answer to its creation was lost", async () => {
    const { adapter, agent, persistence } = table(["Hello"]);
    const session = agent.createSession({ id: "s" });
    const history = [user("Hi")];
    adapter.after = down;
    adapter.before = (call) => (call === "create" ? undefined : down());
    await expect(agent.respond({ history, session })).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    expect(adapter.rows.size).toBe(1);
    adapter.after = () => {};
    adapter.before = () => {};
    await agent.respond({ history, session });
    expect(await persistence.loadSessionHistory("s")).toHaveLength(2);
    expect(await persistence.loadSessionState("s")).toEqual(session);
  });

  it("keeps what the application changed in the state while the model was thinking", async () => {
    const session = createSession<Data>({ id: "s", data: { guests: 2 } });
    const { agent, persistence } = table([
      () => {
        session.data.note = "by hand";
        session.metadata = { ...session.metadata, channel: "web" };
        return { message: "?", data: { name: "Ada" }, step: "note" };
      },
    ]);
    await agent.respond({ history: [user("Ada")], session });
    expect(session.data).toEqual({ name: "Ada", guests: 2, note: "by hand" });
    expect(session.dataByRoute).toEqual({ booking: { name: "Ada" } });
    expect(await persistence.loadSessionState("s")).toEqual(session);
    expect(session.metadata?.["channel"]).toBe("web");
  });

  it("is stored only where it is wanted", async () => {
    const off = table(["a", "b"], { autoSave: false });
    const session = off.agent.createSession({ id: "s" });
    const history = [user("Hi")];
    expect((await off.agent.respond({ history, session })).saved).toBeUndefined();
    expect(off.adapter.rows.size).toBe(0);
    expect((await off.agent.respond({ history, session, save: true })).saved).toBeDefined();
    const on = table(["a", "b"]);
    expect((await on.agent.respond({ history, session: on.agent.createSession() })).saved).toBeUndefined();
    const response = await on.agent.respond({
      history,
      session: on.agent.createSession({ id: "s" }),
      save: false,
    });
    expect(response.saved).toBeUndefined();
    expect(on.adapter.rows.size).toBe(0);
  });

  it("without persistence stores nothing, whatever the session is called", async () => {
    const agent = new Agent({ name: "Plain", provider: scriptedModel(["a"]), routes: [], sessionId: "own" });
    const session = agent.createSession({ id: "s" });
    const response = await agent.respond({ history: [user("Hi")], session });
    expect(response.saved).toBeUndefined();
    expect(session.version).toBeUndefined();
    expect(agent.hasPersistence()).toBe(false);
    expect(() => agent.getPersistenceManager()).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it.each(["s", undefined])("on a state object waits for the one before it (id: %s)", async (id) => {
    const { agent, model, persistence } = table([
      { message: "?", data: { name: "Ada" }, step: "guests" },
      { message: "?", data: { guests: 4 }, step: "note" },
    ]);
    const session = createSession<Data>(id === undefined ? {} : { id });
    await Promise.all(["Ada", "4"].map((text) => agent.respond({ history: [user(text)], session })));
    expect(model.requests.map(({ step }) => step?.id)).toEqual(["name", "guests"]);
    expect(session.data).toEqual({ name: "Ada", guests: 4 });
    if (id === undefined) return;
    expect(await persistence.loadSessionState("s")).toEqual(session);
    expect(await persistence.loadSessionHistory("s")).toHaveLength(4);
  });

  it("belongs to the user that the call names", async () => {
    const { agent, persistence } = table(["a"]);
    await agent.respond({ history: [user("Hi")], session: agent.createSession({ id: "s" }), userId: "ada" });
    expect(await persistence.loadSessionState("s", { userId: "grace" })).toBeNull();
    expect(await persistence.loadSessionState("s", { userId: "ada" })).not.toBeNull();
  });
});

describe("a turn that the model answered and the store did not take", () => {
  async function answered(conflict?: PersistenceOptions<Data>["conflict"]) {
    const all = table(
      [
        { message: "How many?", data: { name: "Ada" }, step: "guests" },
        { message: "Anything else?", data: { guests: 4 }, step: "note" },
        { message: "And?", data: { guests: 5 } },
      ],
      conflict === undefined ? {} : { conflict },
    );
    const session = all.agent.createSession({ id: "s" });
    await all.agent.respond({ history: [user("Ada")], session });
    const next = (text = "4") => all.agent.respond({ history: [user(text)], session });
    return { ...all, session, next };
  }

  it("is handed over complete, and stored by `save` as the same operation", async () => {
    const { adapter, agent, persistence, session, next } = await answered();
    const version = session.version;
    adapter.before = down;
    const error = await notSaved(next());
    expect(error).toMatchObject({ code: "TURN_NOT_SAVED", retryable: true, sessionId: "s" });
    expect(error.cause).toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    expect(error.response).toMatchObject({ message: "Anything else?", collected: { guests: 4 } });
    expect(error.response.session).toBe(session);
    expect(session.data).toEqual({ name: "Ada", guests: 4 });
    expect(session.version).toBe(version);
    const again = await notSaved(error.save());
    adapter.before = () => {};
    const response = await again.save();
    expect(response.saved).toMatchObject({ first: 3, last: 4 });
    expect(session.version).toBe(response.saved?.version);
    expect(await persistence.loadSessionState("s")).toEqual(session);
    await agent.respond({ history: [user("5")], session });
    expect(await persistence.loadSessionHistory("s")).toHaveLength(6);
  });

  it("is not stored twice when it was stored and only the store's answer was lost", async () => {
    const { adapter, persistence, session, next } = await answered();
    adapter.after = (call) => (call === "update" ? down() : undefined);
    adapter.before = (call) => (call === "findById" ? down() : undefined);
    const error = await notSaved(next());
    adapter.after = () => {};
    adapter.before = () => {};
    expect((await error.save()).saved).toMatchObject({ replayed: true, first: 3, last: 4 });
    expect((await error.save()).saved).toMatchObject({ replayed: true, first: 3, last: 4 });
    expect(await persistence.loadSessionHistory("s")).toHaveLength(4);
    expect(await persistence.loadSessionState("s")).toEqual(session);
  });

  it("because of somebody else's turn says so, and can be taken again on what is stored", async () => {
    const { agent, persistence, session, next } = await answered();
    const other = await persistence.loadSessionState("s");
    if (other === null) throw new Error("absent");
    other.data.guests = 7;
    await persistence.saveSessionState("s", other);
    const error = await notSaved(next());
    expect(error.retryable).toBe(false);
    expect(error.cause).toMatchObject({ code: "SESSION_CONFLICT" });
    // The object cannot overwrite what it has not seen.
    await expect(persistence.saveSessionState("s", session)).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    const opened = await persistence.open("s");
    if (opened === null) throw new Error("absent");
    const history = [...opened.messages, user("4")];
    const response = await agent.respond({ history, session: opened.session });
    expect(response.saved).toMatchObject({ first: 3, last: 4 });
  });

  it("because of somebody else's turn can be decided by a function", async () => {
    const { persistence, session, next } = await answered();
    const other = await persistence.loadSessionState("s");
    if (other === null) throw new Error("absent");
    other.data.guests = 7;
    await persistence.saveSessionState("s", other);
    const error = await notSaved(next());
    const response = await error.save({ conflict: ({ mine }) => mine });
    expect(response.saved).toMatchObject({ first: 3, last: 4, replayed: false });
    expect(session.data.guests).toBe(4);
    expect(await persistence.loadSessionState("s")).toEqual(session);
  });

  it("because the session was closed can reopen it", async () => {
    const { persistence, next } = await answered();
    await persistence.updateSessionStatus("s", "completed");
    const error = await notSaved(next());
    expect(error.cause).toMatchObject({ code: "SESSION_CLOSED" });
    expect((await error.save({ reopen: true })).saved).toMatchObject({ first: 3, last: 4 });
  });

  it("keeps the changes that others made elsewhere", async () => {
    const { persistence, session, next } = await answered();
    const other = await persistence.loadSessionState("s");
    if (other === null) throw new Error("absent");
    other.data.note = "by hand";
    await persistence.saveSessionState("s", other);
    await next();
    expect(session.data).toEqual({ name: "Ada", guests: 4, note: "by hand" });
    expect(await persistence.loadSessionState("s")).toEqual(session);
  });
});
