import { describe, expect, it } from "@jest/globals";
import { PersistenceManager } from "../../src/persistence/manager.js";
import { createSession } from "../../src/state/session.js";
import { testEnvironment } from "../../src/testing.js";
import { type OpenStore, eachStore, refusal } from "../support/stores.js";

const start = Date.UTC(2030, 0, 1);

/** Sessions of Ada, a minute apart, and one of Bob. */
async function filled(open: OpenStore, count: number) {
  const environment = testEnvironment({ start });
  const persistence = new PersistenceManager({
    adapter: open(),
    userId: "ada",
    agentName: "Table",
    environment,
  });
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const createdAt = new Date(environment.now());
    const session = createSession({ id: `a${n}`, data: { n }, metadata: { createdAt } });
    ids.unshift(`a${n}`);
    await persistence.saveSessionState(`a${n}`, session);
    environment.advance(60_000);
  }
  await persistence.saveSessionState("b", createSession(), { userId: "bob" });
  return { persistence, environment, ids };
}

describe.each(eachStore())("sessions on %s", (_name, open) => {
  it("are found by id, with what is known of them", async () => {
    const { persistence, environment } = await filled(open, 1);
    const session = await persistence.loadSessionState("a0");
    if (session === null) throw new Error("not there");
    session.currentRoute = { id: "book" };
    session.currentStep = { id: "when", routeId: "book" };
    await persistence.saveTurn({
      session,
      messages: [
        { role: "user", content: "Hi" },
        { role: "assistant", content: "Hello", createdAt: new Date(start + 99_000) },
      ],
    });
    expect(await persistence.findSessionById("a0")).toEqual({
      id: "a0",
      userId: "ada",
      agentName: "Table",
      version: session.version,
      status: "active",
      currentRoute: "book",
      currentStep: "when",
      messageCount: 2,
      createdAt: new Date(start),
      updatedAt: new Date(environment.now()),
      lastMessageAt: new Date(start + 99_000),
      completedAt: null,
      expiresAt: null,
    });
    await persistence.updateSessionStatus("a0", "completed", new Date(start + 1));
    expect(await persistence.findSessionById("a0")).toMatchObject({
      status: "completed",
      completedAt: new Date(start + 1),
    });
  });

  it("are absent for another owner, and where there are none", async () => {
    const { persistence } = await filled(open, 1);
    expect(await persistence.findSessionById("none")).toBeNull();
    expect(await persistence.findSessionById("b")).toBeNull();
    expect(await persistence.findSessionById("b", { userId: "bob" })).toMatchObject({
      id: "b",
      userId: "bob",
    });
    expect(await persistence.findActiveSessionByUserId("carl")).toBeNull();
    const none = await persistence.findSessionsByUserId("carl");
    expect([none.length, none.next]).toEqual([0, null]);
  });

  it("are listed by user, the newest first, in pages", async () => {
    const { persistence, ids } = await filled(open, 7);
    const all = await persistence.findSessionsByUserId("ada");
    expect([all.map(({ id }) => id), all.next]).toEqual([ids, null]);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await persistence.findSessionsByUserId("ada", { limit: 3, cursor });
      expect(page.length).toBeLessThanOrEqual(3);
      seen.push(...page.map(({ id }) => id));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(ids);
    expect((await persistence.findSessionsByUserId("bob")).map(({ id }) => id)).toEqual(["b"]);
  });

  it("are chosen by status and age", async () => {
    const { persistence, environment } = await filled(open, 4);
    await persistence.updateSessionStatus("a0", "completed");
    await persistence.updateSessionStatus("a1", "abandoned");
    const idsOf = async (query: Parameters<typeof persistence.findSessionsByUserId>[1]) =>
      (await persistence.findSessionsByUserId("ada", query)).map(({ id }) => id);
    expect(await idsOf({ status: "completed" })).toEqual(["a0"]);
    expect(await idsOf({ status: ["completed", "abandoned"] })).toEqual(["a1", "a0"]);
    expect(await idsOf({ status: "active" })).toEqual(["a3", "a2"]);
    // By the last change, not by when it was created.
    expect(await idsOf({ olderThan: new Date(start + 3 * 60_000) })).toEqual(["a2"]);
    expect(await idsOf({ olderThan: new Date(environment.now() + 1) })).toHaveLength(4);
    expect(await persistence.findActiveSessionByUserId("ada")).toMatchObject({ id: "a3" });
    await persistence.updateSessionStatus("a3", "completed");
    expect(await persistence.findActiveSessionByUserId("ada")).toMatchObject({ id: "a2" });
  });

  it("are not listed by what cannot be", async () => {
    const { persistence } = await filled(open, 2);
    const page = await persistence.findSessionsByUserId("ada", { limit: 1 });
    const query = (options: object) => persistence.findSessionsByUserId("ada", options);
    for (const limit of [0, -1, 1e9, 1.5, Number.NaN, "1", null])
      expect((await refusal(query({ limit }))).code).toBe("INVALID_ARGUMENT");
    for (const cursor of [
      "",
      "x",
      `${page.next}%`,
      `-${page.next}-`.slice(0, 9),
      "' OR 1=1",
      "99999999999999999.a",
      1,
      null,
    ])
      expect((await refusal(query({ cursor }))).code).toBe("INVALID_ARGUMENT");
    for (const status of ["deleting", "", ["active", "deleting"], 1, null])
      expect((await refusal(query({ status }))).code).toBe("INVALID_ARGUMENT");
    for (const olderThan of [new Date(Number.NaN), 1, "2030-01-01"])
      expect((await refusal(query({ olderThan }))).code).toBe("INVALID_ARGUMENT");
    for (const userId of ["", "\ud800", "x".repeat(129), undefined as never]) {
      expect((await refusal(persistence.findSessionsByUserId(userId))).code).toBe("INVALID_ID");
      expect((await refusal(persistence.findActiveSessionByUserId(userId))).code).toBe("INVALID_ID");
      expect((await refusal(persistence.findSessionById(userId))).code).toBe("INVALID_ID");
    }
  });

  it("of others are not reached by a cursor of theirs", async () => {
    const { persistence } = await filled(open, 3);
    const page = await persistence.findSessionsByUserId("ada", { limit: 1 });
    const others = await persistence.findSessionsByUserId("bob", { cursor: page.next ?? "" });
    expect(others.every(({ userId }) => userId === "bob")).toBe(true);
  });
});

describe.each(eachStore())("messages on %s", (_name, open) => {
  async function talked(count: number) {
    const persistence = new PersistenceManager({ adapter: open() });
    await persistence.saveSessionState("s", createSession());
    const messages = Array.from({ length: count }, (_, n) => ({
      sessionId: "s",
      role: n % 2 === 0 ? ("user" as const) : ("assistant" as const),
      content: `m${n + 1}`,
    }));
    return { persistence, saved: await persistence.saveMessages(messages) };
  }

  it("are added in one write, all or none", async () => {
    const { persistence, saved } = await talked(5);
    expect(saved.map(({ sequence, content }) => [sequence, content])).toEqual(
      [1, 2, 3, 4, 5].map((n) => [n, `m${n}`]),
    );
    expect(await persistence.loadSessionHistory("s")).toEqual(saved);
    const wrong = [
      { sessionId: "s", role: "user" as const, content: "right" },
      { sessionId: "s", role: "nobody" as never, content: "wrong" },
    ];
    expect((await refusal(persistence.saveMessages(wrong))).code).toBe("INVALID_ARGUMENT");
    expect(await persistence.loadSessionHistory("s")).toHaveLength(5);
    expect(await persistence.saveMessages([])).toEqual([]);
  });

  it("are of one session, which is there", async () => {
    const { persistence } = await talked(1);
    const message = { role: "user" as const, content: "x" };
    const mixed = [
      { ...message, sessionId: "s" },
      { ...message, sessionId: "t" },
    ];
    expect((await refusal(persistence.saveMessages(mixed))).message).toContain("of one session");
    for (const broken of [null, [null], [mixed[0], null], [{ ...message }]])
      await expect(persistence.saveMessages(broken as never)).rejects.toMatchObject({
        code: expect.stringMatching(/^INVALID_/),
      });
    expect((await refusal(persistence.saveMessages([{ ...message, sessionId: "none" }]))).code).toBe(
      "SESSION_NOT_FOUND",
    );
    await persistence.updateSessionStatus("s", "completed");
    const late = [{ ...message, sessionId: "s" }];
    expect((await refusal(persistence.saveMessages(late))).code).toBe("SESSION_CLOSED");
    expect(await persistence.saveMessages(late, { reopen: true })).toMatchObject([{ sequence: 2 }]);
  });

  it("are read in pages, backwards and forwards", async () => {
    const { persistence } = await talked(10);
    const read = async (query: Parameters<typeof persistence.findMessagesBySessionId>[1]) => {
      const page = await persistence.findMessagesBySessionId("s", query);
      return [page.map(({ sequence }) => sequence), page.next];
    };
    expect(await read({ limit: 4 })).toEqual([[7, 8, 9, 10], 7]);
    expect(await read({ limit: 4, before: 7 })).toEqual([[3, 4, 5, 6], 3]);
    expect(await read({ limit: 4, before: 3 })).toEqual([[1, 2], null]);
    expect(await read({ limit: 4, order: "desc" })).toEqual([[10, 9, 8, 7], 7]);
    expect(await read({ limit: 4, after: 0 })).toEqual([[1, 2, 3, 4], 4]);
    expect(await read({ limit: 4, after: 8 })).toEqual([[9, 10], null]);
    expect(await read({ limit: 2, after: 3, before: 6 })).toEqual([[4, 5], null]);
    expect(await read({ limit: 2, after: 3, before: 7 })).toEqual([[4, 5], 5]);
    expect(await read({ after: 10 })).toEqual([[], null]);
    expect(await read({ before: 1 })).toEqual([[], null]);
    expect(await read({ before: -1, after: 1e9 })).toEqual([[], null]);
    expect(await read({})).toEqual([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], null]);
  });

  it("are not read by what cannot be", async () => {
    const { persistence } = await talked(1);
    for (const query of [
      ...[0, -1, 1e9, 1.5, Number.NaN].map((limit) => ({ limit })),
      ...[Number.NaN, 0.5, Infinity].flatMap((place) => [{ before: place }, { after: place }]),
      { order: "newest" },
    ])
      expect((await refusal(persistence.findMessagesBySessionId("s", query as never))).code).toBe(
        "INVALID_ARGUMENT",
      );
    const none = await persistence.findMessagesBySessionId("none");
    expect([none.length, none.next]).toEqual([0, null]);
  });
});
