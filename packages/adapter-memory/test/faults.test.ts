import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, StorageError, createSession } from "@waymark/core";
import type { Commit, Outcome } from "@waymark/core/adapter";
import { MemoryAdapter } from "../src/index.js";

const said = (content: string) => ({ role: "user", content }) as const;
const noAnswer = () => new StorageError("STORAGE_UNAVAILABLE", "no answer", { operation: "commit" });

type Send = (commits: readonly Commit[], memory: MemoryAdapter) => Promise<readonly Outcome[]>;

/** Memory whose `turns` go through `send`. */
function through(send: Send, { groups = true } = {}) {
  const memory = new MemoryAdapter();
  const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
  if (turns === undefined) throw new Error("memory has turns");
  const adapter: PersistenceAdapter = {
    ...{ name, durability, limits, sessionRepository, messageRepository },
    turns: { groups, load: turns.load, commit: (commits) => send(commits, memory) },
  };
  return { adapter, memory };
}

const commit = (memory: MemoryAdapter, commits: readonly Commit[]) =>
  memory.turns?.commit(commits) ?? Promise.reject(new Error("memory has turns"));

describe("a store that takes whole turns", () => {
  it("is asked again with the same operation when it gave no answer", async () => {
    let lost = 0;
    const { adapter } = through(async (commits, memory) => {
      const outcomes = await commit(memory, commits);
      if (lost++ % 2 === 0) throw noAnswer();
      return outcomes;
    });
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    for (let turn = 0; turn < 20; turn++) {
      session.data = { turn };
      await manager.saveTurn({ session, messages: [said(`${turn}`)] });
    }
    const history = await manager.loadSessionHistory("s");
    expect(history.map(({ content }) => content)).toEqual(Array.from({ length: 20 }, (_, turn) => `${turn}`));
    expect(await manager.loadSessionState("s")).toEqual(session);
  });

  it("hands its error on when it gives no answer at all, and the turn can be sent again", async () => {
    let isDown = false;
    const { adapter } = through(async (commits, memory) => {
      if (isDown) throw noAnswer();
      return commit(memory, commits);
    });
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    isDown = true;
    const turn = { session, messages: [said("x")], operationId: "op" };
    await expect(manager.saveTurn(turn)).rejects.toMatchObject({
      code: "STORAGE_UNAVAILABLE",
      retryable: true,
    });
    isDown = false;
    expect(await manager.saveTurn(turn)).toMatchObject({ first: 1, replayed: false });
  });

  it("names each caller's own session where a whole group has no answer", async () => {
    const { adapter } = through(async () => {
      throw noAnswer();
    });
    const manager = new PersistenceManager({ adapter });
    const ids = Array.from({ length: 8 }, (_, index) => `s${index}`);
    const results = await Promise.allSettled(
      ids.map((id) => manager.saveTurn({ session: createSession({ id }), messages: [said(id)] })),
    );
    expect(results.map((result) => (result.status === "rejected" ? result.reason : null))).toEqual(
      ids.map((sessionId) =>
        expect.objectContaining({
          sessionId,
          name: "StorageError",
          code: "STORAGE_UNAVAILABLE",
          retryable: true,
        }),
      ),
    );
  });

  it("keeps a bad commit from touching its neighbours in a group", async () => {
    const groups: number[] = [];
    const { adapter } = through(async (commits, memory) => {
      groups.push(commits.length);
      if (commits.some(({ messages }) => messages[0]?.content === "bad"))
        throw new Error("the statement failed");
      return commit(memory, commits);
    });
    const manager = new PersistenceManager({ adapter });
    const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
    const results = await Promise.allSettled(
      ids.map((id, index) =>
        manager.saveTurn({ session: createSession({ id }), messages: [said(index === 10 ? "bad" : id)] }),
      ),
    );
    results.forEach((result, index) => expect(result.status).toBe(index === 10 ? "rejected" : "fulfilled"));
    await expect(manager.loadSessionState("s10")).resolves.toBeNull();
    for (const [index, id] of ids.entries()) {
      if (index !== 10)
        expect((await manager.loadSessionHistory(id)).map(({ content }) => content)).toEqual([id]);
    }
    expect(Math.max(...groups)).toBeGreaterThan(1);
  });

  it("sends a lone commit at once, and together what comes meanwhile, each session once", async () => {
    const groups: string[][] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { adapter } = through(async (commits, memory) => {
      groups.push(commits.map(({ id }) => id));
      await gate;
      return commit(memory, commits);
    });
    const manager = new PersistenceManager({ adapter });
    const sessions = ["a", "b", "c", "d"].map((id) => createSession({ id }));
    const saves = sessions.flatMap((session) => [
      manager.saveTurn({ session }),
      manager.saveTurn({ session }),
    ]);
    while (groups.length < 2) await Promise.resolve();
    open();
    await Promise.all(saves);
    expect(groups.slice(0, 2)).toEqual([["a"], ["b"]]);
    for (const group of groups) expect(new Set(group).size).toBe(group.length);
    expect(groups).toContainEqual(["c", "d"]);
  });

  it("gets those who come back together in two halves, not one alone and all others behind it", async () => {
    const sizes: number[] = [];
    const { adapter } = through(async (commits, memory) => {
      sizes.push(commits.length);
      // As a server does, which answers when the event loop is back.
      await new Promise((resolve) => setImmediate(resolve));
      return commit(memory, commits);
    });
    const manager = new PersistenceManager({ adapter });
    const turns = 20;
    const talk = async (id: string) => {
      const session = createSession<{ turn: number }>({ id });
      for (let turn = 0; turn < turns; turn++) {
        session.data.turn = turn;
        await manager.saveTurn({ session, messages: [said(`${turn}`)] });
      }
    };
    await Promise.all(Array.from({ length: 32 }, (_, index) => talk(`s${index}`)));
    expect(sizes.reduce((sum, size) => sum + size)).toBe(32 * turns);
    expect(sizes.length).toBeLessThan(3 * turns);
  });

  it("gets each commit by itself and at once, where it gains nothing by groups", async () => {
    const calls: string[][] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const send: Send = async (commits, memory) => {
      calls.push(commits.map(({ id }) => id));
      await gate;
      return commit(memory, commits);
    };
    const { adapter } = through(send, { groups: false });
    const manager = new PersistenceManager({ adapter });
    const sessions = ["a", "b", "c", "d"].map((id) => createSession({ id }));
    const saves = sessions.map((session) => manager.saveTurn({ session }));
    while (calls.length < 4) await Promise.resolve();
    open();
    await Promise.all(saves);
    expect(calls).toEqual([["a"], ["b"], ["c"], ["d"]]);
  });
});

describe("a store with two plain repositories", () => {
  function plain(memory: MemoryAdapter): PersistenceAdapter {
    const { name, durability, limits, sessionRepository, messageRepository } = memory;
    return { name, durability, limits, sessionRepository, messageRepository };
  }

  it("shows messages that are not delivered yet, and delivers them with the next turn", async () => {
    const memory = new MemoryAdapter();
    let isDown = true;
    const adapter = plain(memory);
    const insert: typeof adapter.messageRepository.insert = (entries) =>
      isDown ? Promise.reject(noAnswer()) : memory.messageRepository.insert(entries);
    const manager = new PersistenceManager({
      adapter: { ...adapter, messageRepository: { ...adapter.messageRepository, insert } },
    });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session, messages: [said("pending")] });
    expect(memory.getSnapshot().messages).toEqual([]);
    expect(await manager.loadSessionHistory("s")).toHaveLength(1);
    await expect(manager.flush()).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    await expect(manager.saveTurn({ session, messages: [said("more")] })).rejects.toMatchObject({
      retryable: true,
    });
    isDown = false;
    await manager.saveTurn({ session, messages: [said("more")] });
    await manager.flush();
    expect(memory.getSnapshot().messages.map(({ content }) => content)).toEqual(["pending", "more"]);
  });

  it("serves a store with turns what the other path left pending", async () => {
    const memory = new MemoryAdapter();
    const outbox = new PersistenceManager({ adapter: plain(memory) });
    const session = createSession({ id: "s" });
    await outbox.saveTurn({ session, messages: [said("by the outbox")] });
    const turns = new PersistenceManager({ adapter: memory });
    const loaded = await turns.loadSessionState("s");
    if (loaded === null) throw new Error("no session");
    loaded.data = { x: 1 };
    await turns.saveTurn({ session: loaded, messages: [said("whole")] });
    await outbox.saveMessage({ sessionId: "s", ...said("by the outbox again") });
    const history = await turns.loadSessionHistory("s");
    expect(history.map(({ content }) => content)).toEqual(["by the outbox", "whole", "by the outbox again"]);
  });

  it("reports damage where a message is missing, and leaves it as it is", async () => {
    const memory = new MemoryAdapter();
    const manager = new PersistenceManager({ adapter: plain(memory) });
    const session = createSession({ id: "s" });
    for (const text of ["a", "b"]) await manager.saveTurn({ session, messages: [said(text)] });
    await manager.flush();
    const row = memory.getSnapshot().sessions[0];
    await memory.messageRepository.deleteBySessionId("s", { log: row?.life ?? "", to: 1 });
    await expect(manager.loadSessionHistory("s")).rejects.toMatchObject({
      code: "STORAGE_DAMAGED",
      sessionId: "s",
    });
  });

  it("tells the host of work that goes on after the answer", async () => {
    const work: Promise<unknown>[] = [];
    const memory = new MemoryAdapter();
    const manager = new PersistenceManager({
      adapter: plain(memory),
      waitUntil: (promise) => work.push(promise),
    });
    await manager.saveTurn({ session: createSession({ id: "s" }), messages: [said("x")] });
    expect(work.length).toBeGreaterThan(0);
    await Promise.all(work);
    expect(memory.getSnapshot().messages).toHaveLength(1);
  });
});

describe("connecting", () => {
  it("starts an adapter once for all managers, and tries again after a failed start", async () => {
    let starts = 0;
    let stops = 0;
    const { name, durability, limits, sessionRepository, messageRepository } = new MemoryAdapter();
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      initialize: async () => {
        starts++;
        if (starts === 1) throw new Error("not yet");
      },
      disconnect: async () => {
        stops++;
      },
    };
    const one = new PersistenceManager({ adapter });
    const two = new PersistenceManager({ adapter });
    await expect(one.loadSessionState("s")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      operation: "initialize",
    });
    expect(await one.loadSessionState("s")).toBeNull();
    expect(await two.loadSessionState("s")).toBeNull();
    expect(starts).toBe(2);
    await one.close();
    expect(stops).toBe(0);
    await two.close();
    expect(stops).toBe(1);
  });
});
