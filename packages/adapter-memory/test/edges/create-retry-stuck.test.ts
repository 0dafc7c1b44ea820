import { describe, expect, it } from "@jest/globals";
import { Agent, type PersistenceAdapter, StorageError } from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("a new session whose creation was stored and whose answer was lost", () => {
  it("can be gone on with, also when its data has been changed since", async () => {
    const { name, durability, limits, sessionRepository, messageRepository, turns } = new MemoryAdapter();
    if (turns === undefined) throw new Error("memory has turns");
    let isLost = true;
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        load: turns.load,
        commit: async (commits) => {
          const outcomes = await turns.commit(commits);
          if (isLost) throw new StorageError("STORAGE_UNAVAILABLE", "no answer", { operation: "commit" });
          return outcomes;
        },
      },
    };
    const agent = new Agent({ name: "a", provider: scriptedModel(() => "hello"), persistence: { adapter } });
    const session = agent.createSession({ id: "s" });
    const history = [{ role: "user", content: "hi" }] as const;
    await expect(agent.respond({ session, history })).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    isLost = false;
    session.data["seen"] = true;
    const response = await agent.respond({ session, history });
    expect(response.saved?.first).toBe(1);
  });
});
