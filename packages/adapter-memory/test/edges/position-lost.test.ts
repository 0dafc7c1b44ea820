import { describe, expect, it } from "@jest/globals";
import { Agent, PersistenceManager, enterRoute } from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("a turn that did not touch the position", () => {
  it("leaves the one that the application has set while the model was thinking", async () => {
    const adapter = new MemoryAdapter();
    const agent = new Agent({
      name: "a",
      provider: scriptedModel(async () => {
        enterRoute(session, { id: "human" }); // handed over to a person
        return "one moment";
      }),
      persistence: { adapter },
    });
    const session = agent.createSession({ id: "s" });
    await agent.respond({ session, history: [{ role: "user", content: "x" }] });
    const stored = await new PersistenceManager({ adapter }).loadSessionState("s");
    expect(stored?.routeHistory.at(-1)?.routeId).toBe("human");
    expect(stored?.currentRoute?.id).toBe("human");
  });
});

describe("a turn that did not touch the position", () => {
  it("does not undo, without a conflict, what another process has stored meanwhile", async () => {
    const adapter = new MemoryAdapter();
    const there = new PersistenceManager({ adapter });
    const agent = new Agent({
      name: "a",
      provider: scriptedModel(async () => {
        const theirs = await there.loadSessionState("s");
        if (theirs === null) throw new Error("not there");
        enterRoute(theirs, { id: "human" });
        await there.saveTurn({ session: theirs });
        session.data["seen"] = true;
        await agent.getPersistenceManager().saveTurn({ session }); // the application's own save: takes theirs over
        return "one moment";
      }),
      persistence: { adapter },
    });
    const session = agent.createSession({ id: "s" });
    await agent.respond({ session, history: [{ role: "user", content: "x" }] });
    expect((await there.loadSessionState("s"))?.currentRoute?.id).toBe("human");
  });
});
