import { describe, expect, it } from "@jest/globals";
import { type Message, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a part of a message that cannot be kept", () => {
  it("is refused, as it is in a state", async () => {
    const manager = new PersistenceManager({ adapter: new MemoryAdapter() });
    const message = { role: "user", content: "x", metadata: { rating: 5 } } as Message;
    const result: unknown = await manager
      .saveTurn({ session: createSession({ id: "s" }), messages: [message] })
      .catch((error: unknown) => error);
    expect(result).toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
