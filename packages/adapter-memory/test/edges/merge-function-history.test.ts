import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession, enterRoute } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a merge function that takes mine", () => {
  it("does not make an entry of a long route history appear twice", async () => {
    const adapter = new MemoryAdapter();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    for (let i = 1; i <= 100; i++) enterRoute(session, { id: `r${i}` });
    await manager.saveTurn({ session });
    const mine = await manager.loadSessionState("s");
    const theirs = await manager.loadSessionState("s");
    if (mine === null || theirs === null) throw new Error("not there");
    enterRoute(theirs, { id: "theirs" });
    await manager.saveTurn({ session: theirs });
    enterRoute(mine, { id: "mine" });
    await manager.saveTurn({ session: mine, conflict: ({ mine }) => mine });
    const { messages } = adapter.getSnapshot();
    const old = messages
      .filter(({ role }) => role === "route")
      .map(({ body }) => Object(body).routeId as string);
    const all = [...old, ...mine.routeHistory.map(({ routeId }) => routeId)];
    expect(all.filter((id) => id === "r1")).toHaveLength(1);
  });
});
