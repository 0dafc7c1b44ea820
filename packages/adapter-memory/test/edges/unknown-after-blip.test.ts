import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, StorageError, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

const said = [{ role: "user", content: "x" }] as const;

describe("one failed connection", () => {
  it("is tried again, also for a session of more than 16 turns that this process has only read", async () => {
    const memory = new MemoryAdapter();
    const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
    if (turns === undefined) throw new Error("memory has turns");
    let isDown = false;
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        load: turns.load,
        commit: async (commits) => {
          if (!isDown) return turns.commit(commits);
          isDown = false;
          throw new StorageError("STORAGE_UNAVAILABLE", "connection refused", { operation: "commit" });
        },
      },
    };
    const before = new PersistenceManager({ adapter: memory });
    const session = createSession({ id: "s" });
    for (let i = 0; i < 20; i++) await before.saveTurn({ session, messages: said });
    const manager = new PersistenceManager({ adapter }); // a new process
    const loaded = await manager.loadSessionState("s");
    if (loaded === null) throw new Error("not there");
    isDown = true;
    const saved = await manager.saveTurn({ session: loaded, messages: said });
    expect(saved.first).toBe(21);
  });
});
