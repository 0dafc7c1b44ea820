import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a rebase", () => {
  it("keeps a deleted key of the metadata deleted, and theirs", async () => {
    const adapter = new MemoryAdapter();
    const manager = new PersistenceManager({ adapter });
    await manager.saveTurn({ session: createSession({ id: "s", metadata: { a: 1 } }) });
    const mine = await manager.loadSessionState("s");
    const theirs = await manager.loadSessionState("s");
    if (mine?.metadata === undefined || theirs?.metadata === undefined) throw new Error("not there");
    theirs.metadata["b"] = 2;
    await manager.saveTurn({ session: theirs });
    delete mine.metadata["a"];
    await manager.saveTurn({ session: mine });
    expect(mine.metadata).toMatchObject({ b: 2 });
    expect(mine.metadata).not.toHaveProperty("a");
  });
});
