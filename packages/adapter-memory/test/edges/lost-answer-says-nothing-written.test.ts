import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, StorageError, createSession } from "@waymark/core";
import type { Commit, Outcome } from "@waymark/core/adapter";
import { testEnvironment } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

function through(after: () => void) {
  const memory = new MemoryAdapter();
  const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
  if (turns === undefined) throw new Error("memory has turns");
  const adapter: PersistenceAdapter = {
    ...{ name, durability, limits, sessionRepository, messageRepository },
    turns: {
      load: turns.load,
      commit: async (commits: readonly Commit[]): Promise<readonly Outcome[]> => {
        const outcomes = await turns.commit(commits);
        after();
        return outcomes;
      },
    },
  };
  return { adapter, memory };
}

const noAnswer = () => new StorageError("STORAGE_UNAVAILABLE", "timed out", { operation: "commit" });

describe("a turn that was stored and whose answer was lost", () => {
  it("is not said to be unwritten because the deadline has passed (a driver's timeout is as long)", async () => {
    const environment = testEnvironment();
    let isLost = false;
    const { adapter, memory } = through(() => {
      if (!isLost) return;
      environment.advance(10_000);
      throw noAnswer();
    });
    const manager = new PersistenceManager({ adapter, environment });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    isLost = true;
    const result: unknown = await manager
      .saveTurn({ session, messages: [{ role: "user", content: "x" }] })
      .catch((error: unknown) => error);
    expect(memory.getSnapshot().messages).toHaveLength(1); // it is stored
    expect(result).toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  });

  it("is not said to be unwritten because the signal was aborted", async () => {
    const stop = new AbortController();
    let isLost = false;
    const { adapter, memory } = through(() => {
      if (!isLost) return;
      stop.abort();
      throw noAnswer();
    });
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    isLost = true;
    const result: unknown = await manager
      .saveMessage({ sessionId: "s", role: "user", content: "x", signal: stop.signal })
      .catch((error: unknown) => error);
    expect(memory.getSnapshot().messages).toHaveLength(1);
    expect(result).toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  });
});
