import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession, enterRoute } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

/** Memory whose commits wait until `go`. */
function slow() {
  const memory = new MemoryAdapter();
  const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
  if (turns === undefined) throw new Error("memory has turns");
  const gate = { before: async () => {} };
  const adapter: PersistenceAdapter = {
    ...{ name, durability, limits, sessionRepository, messageRepository },
    turns: {
      load: turns.load,
      commit: async (commits) => {
        await gate.before();
        return turns.commit(commits);
      },
    },
  };
  return { adapter, memory, gate };
}

describe("what the application changes while a save is under way", () => {
  it("stays, also where the route history is longer than is kept", async () => {
    const { adapter, gate } = slow();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    for (let i = 1; i <= 100; i++) enterRoute(session, { id: `r${i}` });
    await manager.saveTurn({ session });
    enterRoute(session, { id: "r101" });
    gate.before = async () => {
      gate.before = async () => {};
      enterRoute(session, { id: "r102" });
    };
    await manager.saveTurn({ session });
    expect(session.currentRoute?.id).toBe("r102");
    expect(session.routeHistory.at(-1)?.routeId).toBe("r102");
  });

  it("stays, also where somebody else had changed the same key", async () => {
    const { adapter, gate, memory } = slow();
    const manager = new PersistenceManager({ adapter });
    const there = new PersistenceManager({ adapter: memory });
    const session = createSession({ id: "s", data: { a: 1, b: 1 } });
    await manager.saveTurn({ session });
    const theirs = await there.loadSessionState("s");
    if (theirs === null) throw new Error("not there");
    theirs.data["b"] = 2;
    await there.saveTurn({ session: theirs });
    session.data["a"] = 2;
    gate.before = async () => {
      gate.before = async () => {};
      session.data["b"] = 3;
    };
    await manager.saveTurn({ session });
    expect(session.data).toEqual({ a: 2, b: 3 });
  });
});
