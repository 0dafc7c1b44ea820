import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, StorageError, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("flush of a store with two repositories", () => {
  it("delivers a turn whose answer was lost", async () => {
    const memory = new MemoryAdapter({ without: ["turns"] });
    let isLost = false;
    const repository = memory.sessionRepository;
    const adapter: PersistenceAdapter = {
      ...{
        name: "m",
        durability: "process",
        limits: memory.limits,
        messageRepository: memory.messageRepository,
      },
      sessionRepository: {
        create: (row) => repository.create(row),
        findById: (id) => repository.findById(id),
        delete: (id, seen) => repository.delete(id, seen),
        find: (filter, page) => repository.find(filter, page),
        update: async (row, seen) => {
          const answer = await repository.update(row, seen);
          if (!isLost) return answer;
          isLost = false;
          throw new StorageError("STORAGE_UNAVAILABLE", "no answer", { operation: "update" });
        },
      },
    };
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    isLost = true;
    await manager.saveTurn({ session, messages: [{ role: "user", content: "x" }] });
    await manager.flush();
    expect(memory.getSnapshot().messages).toHaveLength(1);
  });
});
