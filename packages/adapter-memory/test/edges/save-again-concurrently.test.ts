import { describe, expect, it } from "@jest/globals";
import {
  Agent,
  type PersistenceAdapter,
  PersistenceManager,
  StorageError,
  TurnNotSavedError,
} from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("TurnNotSavedError.save", () => {
  it.each([false, true])("may be called twice at once (after somebody else's turn: %s)", async (isMoved) => {
    const memory = new MemoryAdapter();
    const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
    if (turns === undefined) throw new Error("memory has turns");
    let isDown = false;
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        load: turns.load,
        commit: async (commits) => {
          if (isDown) throw new StorageError("STORAGE_UNAVAILABLE", "no answer", { operation: "commit" });
          return turns.commit(commits);
        },
      },
    };
    const agent = new Agent({ name: "a", provider: scriptedModel(() => "hello"), persistence: { adapter } });
    const session = agent.createSession({ id: "s" });
    await agent.getPersistenceManager().saveTurn({ session });
    isDown = true;
    const error: unknown = await agent
      .respond({ session, history: [{ role: "user", content: "hi" }] })
      .catch((thrown: unknown) => thrown);
    isDown = false;
    if (!(error instanceof TurnNotSavedError)) throw error;
    if (isMoved) {
      const there = new PersistenceManager({ adapter: memory });
      const theirs = await there.loadSessionState("s");
      if (theirs === null) throw new Error("not there");
      theirs.data["x"] = 1;
      await there.saveTurn({ session: theirs });
    }
    const results = await Promise.allSettled([error.save(), error.save()]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    const history = await agent.getPersistenceManager().loadSessionHistory("s");
    expect(history.map(({ content }) => content)).toEqual(["hi", "hello"]);
  });
});
