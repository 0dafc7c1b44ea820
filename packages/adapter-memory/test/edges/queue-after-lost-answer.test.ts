import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, StorageError, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("the policy queue", () => {
  it("knows a turn of this process whose answer was lost", async () => {
    const { name, durability, limits, sessionRepository, messageRepository, turns } = new MemoryAdapter();
    if (turns === undefined) throw new Error("memory has turns");
    let isLost = false;
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        load: turns.load,
        commit: async (commits) => {
          const outcomes = await turns.commit(commits);
          if (isLost) {
            isLost = false;
            throw new StorageError("STORAGE_UNAVAILABLE", "no answer", { operation: "commit" });
          }
          return outcomes;
        },
      },
    };
    const manager = new PersistenceManager({ adapter, conflict: "queue" });
    await manager.saveTurn({ session: createSession({ id: "s" }) });
    const a = await manager.loadSessionState("s");
    const b = await manager.loadSessionState("s");
    if (a === null || b === null) throw new Error("not there");
    a.data["x"] = 1;
    b.data["x"] = 2;
    isLost = true;
    await manager.saveTurn({ session: a });
    await manager.saveTurn({ session: b });
    expect((await manager.loadSessionState("s"))?.data).toEqual({ x: 2 });
  });
});
