import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("flush", () => {
  it("resolves in a process that goes on serving others", async () => {
    const { name, durability, limits, sessionRepository, messageRepository, turns } = new MemoryAdapter();
    if (turns === undefined) throw new Error("memory has turns");
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        load: turns.load,
        commit: async (commits) => {
          await new Promise((resolve) => setImmediate(resolve));
          return turns.commit(commits);
        },
      },
    };
    const manager = new PersistenceManager({ adapter });
    const serving = { goesOn: true };
    const count = { saves: 0 };
    const serve = async (id: string) => {
      const session = createSession({ id });
      while (serving.goesOn && count.saves < 10_000) {
        await manager.saveTurn({ session });
        count.saves++;
      }
    };
    const all = Promise.all(["a", "b", "c"].map(serve));
    while (count.saves < 10) await new Promise((resolve) => setImmediate(resolve));
    await manager.flush();
    serving.goesOn = false;
    await all;
    expect(count.saves).toBeLessThan(10_000);
  });
});
