import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a validator that takes its time", () => {
  it("has checked what is stored", async () => {
    const text = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: async (value: unknown) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return typeof value === "string" ? { value } : { issues: [{ message: "must be a text" }] };
        },
      },
    };
    const manager = new PersistenceManager<{ email: string }>({
      adapter: new MemoryAdapter(),
      schema: { email: text },
    });
    const session = createSession<{ email: string }>({ id: "s", data: { email: "a" } });
    const saving = manager.saveTurn({ session });
    await new Promise((resolve) => setTimeout(resolve, 1));
    const bad: unknown = 7;
    session.data.email = bad as string; // corrected by the application before its next save
    await saving;
    session.data.email = "b";
    expect((await manager.loadSessionState("s"))?.data).toEqual({ email: "a" });
  });
});
