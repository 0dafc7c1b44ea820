import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a state that cannot be written to", () => {
  it("is refused before anything is stored", async () => {
    const adapter = new MemoryAdapter();
    const manager = new PersistenceManager({ adapter });
    const session = Object.freeze(createSession({ id: "s" }));
    const error: unknown = await manager.saveTurn({ session }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: expect.any(String) });
    expect(adapter.getSnapshot().sessions).toEqual([]);
  });
});
