import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession, isWaymarkError } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

const any = {
  "~standard": { version: 1 as const, vendor: "test", validate: (value: unknown) => ({ value }) },
};

describe("a state that is none, with a schema", () => {
  it.each([
    ["no data", undefined],
    [
      "a getter that throws",
      Object.defineProperty({}, "x", {
        enumerable: true,
        get: () => {
          throw new Error("no");
        },
      }),
    ],
  ])("is refused with a typed error: %s", async (_name, data) => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter(), schema: { x: any } });
    const session = createSession({ id: "s" });
    session.data = data as Record<string, unknown>;
    const error: unknown = await manager.saveTurn({ session }).catch((thrown: unknown) => thrown);
    expect(isWaymarkError(error)).toBe(true);
  });
});
