import { describe, expect, it } from "@jest/globals";
import { Agent, type Message, type PersistenceAdapter, createSession } from "../../src/index.js";
import { scriptedModel } from "../../src/testing.js";
import { type OpenStore, eachStore } from "../support/stores.js";

// Each call as an application makes it that comes from a library with the same names: positional, and with options.

interface Order {
  customer: string;
  items: string[];
}

function shop(open: OpenStore, options: { autoSave?: boolean; userId?: string } = {}) {
  const adapter: PersistenceAdapter = open();
  const agent = new Agent({
    name: "Shop",
    provider: scriptedModel(({ history }) => `You said: ${history.at(-1)?.content}`),
    persistence: { adapter, ...options },
  });
  return { adapter, agent, persistence: agent.getPersistenceManager() };
}

const hello: Message[] = [{ role: "user", content: "Hello" }];

describe("a session", () => {
  it("is made empty, with data, with metadata of one's own", () => {
    expect(createSession()).toMatchObject({ data: {}, dataByRoute: {}, routeHistory: [] });
    expect(createSession({ data: { customer: "Ada", options: { gift: true } } }).data).toEqual({
      customer: "Ada",
      options: { gift: true },
    });
    const { metadata } = createSession({ data: {}, metadata: { channel: "kiosk", shop: 7 } });
    expect(metadata).toMatchObject({ channel: "kiosk", shop: 7, createdAt: expect.any(Date) });
  });

  it.each(eachStore())("is changed by hand and stored on %s", async (_name, open) => {
    const { persistence } = shop(open);
    const session = createSession();
    session.id = "order-1";
    session.data["customer"] = "Ada";
    session.currentRoute = { id: "order", title: "Take an order" };
    session.currentStep = { id: "items", routeId: "order" };
    session.routeHistory.push({ routeId: "order", enteredAt: new Date(5), completed: false });
    await persistence.saveSessionState(session.id, session);
    expect(await persistence.loadSessionState(session.id)).toEqual(session);
  });
});

describe.each(eachStore())("with autoSave on %s", (_name, open) => {
  it("a response stores state and messages", async () => {
    const { agent, persistence } = shop(open, { autoSave: true, userId: "ada" });
    const session = createSession();
    session.id = "order-1";
    const response = await agent.respond({ history: hello, session });
    expect(response.message).toBe("You said: Hello");
    expect(await persistence.loadSessionState("order-1")).toEqual(session);
    expect((await persistence.loadSessionHistory("order-1")).map(({ content }) => content)).toEqual([
      "Hello",
      "You said: Hello",
    ]);
    expect(await persistence.findSessionById("order-1")).toMatchObject({ userId: "ada", messageCount: 2 });
  });

  it("a conversation goes on from what is loaded", async () => {
    const { agent, persistence } = shop(open, { autoSave: true });
    const first = createSession({ id: "order-1" });
    first.data["customer"] = "Ada";
    await agent.respond({ history: hello, session: first });
    const session = await persistence.loadSessionState<Order>("order-1");
    const history = await persistence.loadSessionHistory("order-1");
    if (session === null) throw new Error("not there");
    expect(session.data.customer?.toUpperCase()).toBe("ADA");
    await agent.respond({ history: [...history, { role: "user", content: "Tea" }], session });
    expect(await persistence.loadSessionHistory("order-1")).toHaveLength(4);
    expect(await persistence.loadSessionHistory("order-1", { limit: 2 })).toMatchObject([
      { sequence: 3, content: "Tea" },
      { sequence: 4 },
    ]);
  });
});

describe.each(eachStore())("without autoSave on %s", (_name, open) => {
  async function saved() {
    const { adapter, agent, persistence } = shop(open, { autoSave: false, userId: "ada" });
    const session = createSession();
    session.id = "order-1";
    session.currentRoute = { id: "order" };
    session.currentStep = { id: "items" };
    await agent.respond({ history: hello, session });
    if (agent.hasPersistence()) await persistence.saveSessionState(session.id, session);
    return { adapter, persistence, session, id: session.id };
  }

  it("nothing is stored but what is saved by hand", async () => {
    const { persistence, session, id } = await saved();
    expect(await persistence.loadSessionState(id)).toEqual(session);
    expect(await persistence.loadSessionHistory(id)).toHaveLength(0);
    expect(await persistence.loadSessionState("order-2")).toBeNull();
    expect(new Agent({ name: "Bare", provider: scriptedModel([]) }).hasPersistence()).toBe(false);
  });

  it("messages are saved one by one, and all at once in their order", async () => {
    const { persistence, session, id } = await saved();
    const message = await persistence.saveMessage({
      sessionId: id,
      role: "user",
      content: "Tea, please",
      route: session.currentRoute?.id,
      step: session.currentStep?.id,
      toolCalls: [{ id: "1", name: "stock", input: { item: "tea" } }],
      event: { kind: "click" },
    });
    expect(message).toMatchObject({
      sequence: 1,
      route: "order",
      step: "items",
      createdAt: expect.any(Date),
    });
    const batch = [
      { sessionId: id, role: "assistant" as const, content: "With milk?" },
      { sessionId: id, role: "user" as const, content: "Without" },
    ];
    await Promise.all(batch.map((one) => persistence.saveMessage(one)));
    const messages = await persistence.findMessagesBySessionId(id);
    expect(messages.map(({ content }) => content)).toEqual(["Tea, please", "With milk?", "Without"]);
    expect(messages[0]).toEqual(message);
    expect(await persistence.loadSessionHistory(id)).toEqual(messages);
  });

  it("sessions are found by user and by id", async () => {
    const { persistence, id } = await saved();
    expect(await persistence.findActiveSessionByUserId("ada")).toMatchObject({ id });
    expect(await persistence.findSessionsByUserId("ada", { limit: 10 })).toMatchObject([{ id }]);
    expect(await persistence.findSessionById(id)).toMatchObject({
      id,
      currentRoute: "order",
      currentStep: "items",
    });
  });

  it("sessions are completed, abandoned, listed by age and cleaned up", async () => {
    const { persistence, id } = await saved();
    await persistence.saveSessionState("order-2", createSession());
    const at = new Date();
    expect(await persistence.updateSessionStatus(id, "completed", at)).toBe(true);
    expect(await persistence.updateSessionStatus("order-2", "abandoned")).toBe(true);
    expect(await persistence.findActiveSessionByUserId("ada")).toBeNull();
    const old = await persistence.findSessionsByUserId("ada", {
      status: "completed",
      olderThan: new Date(Date.now() + 60_000),
    });
    expect(old).toMatchObject([{ id, completedAt: at }]);
    for (const session of old) expect(await persistence.deleteSession(session.id)).toBe(true);
    expect(await persistence.deleteSession(id)).toBe(false);
    expect(await persistence.findSessionsByUserId("ada")).toHaveLength(1);
  });

  it("collected data is updated in place", async () => {
    const { persistence, id } = await saved();
    await persistence.updateCollectedData(id, { preferences: { milk: false } });
    expect((await persistence.loadSessionState(id))?.data["preferences"]).toEqual({ milk: false });
  });

  it("the adapter is asked whether it is there", async () => {
    const { adapter } = await saved();
    await adapter.initialize?.();
    expect(await adapter.sessionRepository.findById("nonexistent")).toBeNull();
  });
});
