import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { testEnvironment } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("after a save", () => {
  it("the object is the stored version, also where its metadata was replaced", async () => {
    const environment = testEnvironment();
    const manager = new PersistenceManager({ adapter: new MemoryAdapter(), environment });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    environment.advance(60_000);
    session.metadata = { plan: "pro" };
    await manager.saveTurn({ session });
    expect(session).toEqual(await manager.loadSessionState("s"));
  });
});
