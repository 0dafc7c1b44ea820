import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

const said = (content: string) => ({ role: "user", content }) as const;

describe.each([[[]], [["turns"]]] as const)("calls of one tick (without %j)", (without) => {
  it("are stored in the order in which they were made, whatever their kind", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter({ without: [...without] }) });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    await Promise.all([
      manager.saveMessage({ sessionId: "s", ...said("a") }),
      manager.saveTurn({ session, messages: [said("b")] }),
      manager.saveMessage({ sessionId: "s", ...said("c") }),
    ]);
    const history = await manager.loadSessionHistory("s");
    expect(history.map(({ content }) => content)).toEqual(["a", "b", "c"]);
  });

  it("a message after a status is refused by that status", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter({ without: [...without] }) });
    await manager.saveTurn({ session: createSession({ id: "s" }) });
    const [, , third] = await Promise.allSettled([
      manager.saveMessage({ sessionId: "s", ...said("a") }),
      manager.updateSessionStatus("s", "completed"),
      manager.saveMessage({ sessionId: "s", ...said("c") }),
    ]);
    expect(third).toMatchObject({ status: "rejected", reason: { code: "SESSION_CLOSED" } });
  });
});
