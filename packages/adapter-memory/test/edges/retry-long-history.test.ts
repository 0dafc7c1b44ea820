import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession, enterRoute } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

const said = [{ role: "user", content: "x" }] as const;

describe("a retry in a session with a long route history", () => {
  it("with the same object gives the first result", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter() });
    const session = createSession({ id: "s" });
    for (let i = 1; i <= 101; i++) enterRoute(session, { id: `r${i}` });
    const turn = { session, messages: said, operationId: "op" };
    const first = await manager.saveTurn(turn);
    expect(await manager.saveTurn(turn)).toEqual({ ...first, replayed: true });
  });

  it("with a copy, in another process, gives the first result", async () => {
    const adapter = new MemoryAdapter();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    for (let i = 1; i <= 101; i++) enterRoute(session, { id: `r${i}` });
    await manager.saveTurn({ session }); // 1 entry has left the row
    session.data = { a: 1 };
    const copy = structuredClone(session);
    const first = await manager.saveTurn({ session, messages: said, operationId: "op" });
    const again = new PersistenceManager({ adapter }).saveTurn({
      session: copy,
      messages: said,
      operationId: "op",
    });
    expect(await again).toEqual({ ...first, replayed: true });
  });
});
