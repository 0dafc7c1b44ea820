import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a host's waitUntil that throws", () => {
  it("does not make a stored turn fail", async () => {
    const adapter = new MemoryAdapter({ without: ["turns"] });
    const manager = new PersistenceManager({
      adapter,
      waitUntil: () => {
        throw new TypeError("Illegal invocation");
      },
    });
    const saved: unknown = await manager
      .saveTurn({ session: createSession({ id: "s" }), messages: [{ role: "user", content: "x" }] })
      .catch((error: unknown) => error);
    expect(adapter.getSnapshot().sessions).toHaveLength(1);
    expect(saved).toMatchObject({ first: 1 });
  });
});
