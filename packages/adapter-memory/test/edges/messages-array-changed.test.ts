import { describe, expect, it } from "@jest/globals";
import { type Message, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("saveTurn", () => {
  it("stores the messages that it was given", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter() });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    const outgoing: Message[] = [{ role: "user", content: "one" }];
    const first = manager.saveTurn({ session, messages: outgoing });
    outgoing.length = 0; // the caller's buffer is handed over
    outgoing.push({ role: "user", content: "two" });
    const second = manager.saveTurn({ session, messages: outgoing });
    await Promise.all([first, second]);
    const history = await manager.loadSessionHistory("s");
    expect(history.map(({ content }) => content)).toEqual(["one", "two"]);
  });
  it("saveMessage stores the event that it was given", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter() });
    await manager.saveTurn({ session: createSession({ id: "s" }) });
    const event = { n: 1 };
    const saving = manager.saveMessage({ sessionId: "s", role: "user", content: "x", event });
    event.n = 2;
    expect((await saving).event).toEqual({ n: 1 });
  });
});
