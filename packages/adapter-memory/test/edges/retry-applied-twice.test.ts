import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe.each([[[]], [["turns"]]] as const)(
  "an operation id that is too old to be known (without %j)",
  (without) => {
    it("is not applied again: the same object", async () => {
      const manager = new PersistenceManager({ adapter: new MemoryAdapter({ without: [...without] }) });
      const session = createSession({ id: "s", data: { a: 1 } });
      await manager.saveTurn({ session });
      const turn = { session, messages: [{ role: "user", content: "pay" }] as const, operationId: "op" };
      await manager.saveTurn(turn);
      for (let i = 0; i < 16; i++)
        await manager.saveMessage({ sessionId: "s", role: "user", content: `${i}` });
      const again: unknown = await manager.saveTurn(turn).catch((error: unknown) => error);
      const history = await manager.loadSessionHistory("s");
      expect(history.filter(({ content }) => content === "pay")).toHaveLength(1);
      expect(again).toMatchObject({ code: "OPERATION_UNKNOWN" });
    });

    it("is not applied again: a copy that was made before the first try", async () => {
      const manager = new PersistenceManager({ adapter: new MemoryAdapter({ without: [...without] }) });
      const session = createSession({ id: "s", data: { a: 1 } });
      await manager.saveTurn({ session });
      const copy = structuredClone(session);
      const messages = [{ role: "user", content: "pay" }] as const;
      await manager.saveTurn({ session, messages, operationId: "op" });
      for (let i = 0; i < 16; i++)
        await manager.saveMessage({ sessionId: "s", role: "user", content: `${i}` });
      const again: unknown = await manager
        .saveTurn({ session: copy, messages, operationId: "op" })
        .catch((error: unknown) => error);
      const history = await manager.loadSessionHistory("s");
      expect(history.filter(({ content }) => content === "pay")).toHaveLength(1);
      expect(again).toMatchObject({ code: "OPERATION_UNKNOWN" });
    });
  },
);
