import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, StorageError, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("an outage of the store", () => {
  it("is told to everybody without asking for each by itself", async () => {
    const { name, durability, limits, sessionRepository, messageRepository, turns } = new MemoryAdapter();
    if (turns === undefined) throw new Error("memory has turns");
    let isDown = false;
    let calls = 0;
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        groups: true,
        load: turns.load,
        commit: async (commits) => {
          if (!isDown) return turns.commit(commits);
          calls++;
          // Those who were told to try again pause for less than the driver takes, and so meet in the next write.
          await new Promise((resolve) => setTimeout(resolve, 40));
          throw new StorageError("STORAGE_UNAVAILABLE", "timed out", { operation: "commit" });
        },
      },
    };
    const manager = new PersistenceManager({ adapter, deadlineMs: 200 });
    const sessions = Array.from({ length: 40 }, (_, i) => createSession({ id: `s${i}` }));
    await Promise.all(sessions.map((session) => manager.saveTurn({ session })));
    isDown = true;
    const results = await Promise.allSettled(sessions.map((session) => manager.saveTurn({ session })));
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    // One after the other they would wait for 120 timeouts of the driver.
    expect(calls).toBeLessThan(40);
  });
});
