import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("findMessagesBySessionId", () => {
  it.each([
    [{ before: Number.NaN }],
    [{ after: Number.NaN }],
    [{ before: 2.5, limit: 1 }],
    [{ after: 1.5 }],
    [{ after: "1" as unknown as number }],
    [{ before: null as unknown as number }],
  ])("refuses %j", async (query) => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter() });
    const messages = ["a", "b", "c"].map((content) => ({ role: "user", content }) as const);
    await manager.saveTurn({ session: createSession({ id: "s" }), messages });
    const result: unknown = await manager
      .findMessagesBySessionId("s", query)
      .catch((error: unknown) => error);
    expect(result).toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("updateSessionStatus refuses a time that is none", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter() });
    await manager.saveTurn({ session: createSession({ id: "s" }) });
    const result: unknown = await manager
      .updateSessionStatus("s", "completed", new Date(Number.NaN))
      .catch((error: unknown) => error);
    expect(result).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
