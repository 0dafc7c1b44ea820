import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

function logging() {
  const { name, durability, limits, sessionRepository, messageRepository, turns } = new MemoryAdapter();
  if (turns === undefined) throw new Error("memory has turns");
  const log: string[] = [];
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const adapter: PersistenceAdapter = {
    ...{ name, durability, limits, sessionRepository, messageRepository },
    turns: {
      load: async (id, options) => {
        await wait(5);
        log.push("load");
        return turns.load(id, options);
      },
      commit: async (commits) => {
        log.push("commit");
        return turns.commit(commits);
      },
    },
    initialize: async () => void log.push("initialize"),
    disconnect: async () => {
      log.push("disconnecting");
      await wait(5);
      log.push("disconnected");
    },
  };
  return { adapter, log };
}

describe("an adapter that is let go", () => {
  it("is not started again before it has stopped", async () => {
    const { adapter, log } = logging();
    const first = new PersistenceManager({ adapter });
    await first.saveTurn({ session: createSession({ id: "s" }) });
    const closing = first.close();
    await new Promise((resolve) => setTimeout(resolve, 1));
    const second = new PersistenceManager({ adapter });
    await second.saveTurn({ session: createSession({ id: "t" }) });
    await closing;
    expect(log).toEqual(["initialize", "commit", "disconnecting", "disconnected", "initialize", "commit"]);
  });

  it("is let go after the reads that were begun before", async () => {
    const { adapter, log } = logging();
    const manager = new PersistenceManager({ adapter });
    await manager.saveTurn({ session: createSession({ id: "s" }) });
    const loaded = manager.loadSessionState("s");
    await manager.close();
    await loaded;
    expect(log.indexOf("load")).toBeLessThan(log.indexOf("disconnecting"));
  });
});
