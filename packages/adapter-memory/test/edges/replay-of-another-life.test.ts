import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe.each([[["turns"]], [[]]] as const)("a retry (without %j)", (without) => {
  it("does not bring the state of another person's session that has taken the id", async () => {
    const adapter = new MemoryAdapter({ without: [...without] });
    const ada = new PersistenceManager({ adapter, userId: "ada" });
    const session = createSession<Record<string, unknown>>({ id: "s", data: { mine: 1 } });
    await ada.saveTurn({ session });
    session.data["more"] = 1;
    const turn = { session, messages: [{ role: "user", content: "x" }] as const, operationId: "op" };
    await ada.saveTurn(turn);
    const elsewhere = new PersistenceManager({ adapter });
    await elsewhere.deleteSession("s");
    await elsewhere.saveTurn({
      session: createSession({ id: "s", data: { secret: "bob's" } }),
      userId: "bob",
    });
    const again: unknown = await ada.saveTurn(turn).catch((error: unknown) => error);
    expect(JSON.stringify(session)).not.toContain("bob");
    expect(again).toMatchObject({ code: "SESSION_NOT_FOUND" });
  });
});
