import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a store that takes one row of 10,000 bytes", () => {
  it("is never given a larger one", async () => {
    const memory = new MemoryAdapter({ without: ["turns"] });
    const sizes: number[] = [];
    const adapter: PersistenceAdapter = {
      name: "small",
      durability: "process",
      limits: { commitBytes: 10_000 },
      messageRepository: memory.messageRepository,
      sessionRepository: {
        create: (row) => memory.sessionRepository.create(row),
        findById: (id) => memory.sessionRepository.findById(id),
        delete: (id, seen) => memory.sessionRepository.delete(id, seen),
        find: (filter, page) => memory.sessionRepository.find(filter, page),
        update: (row, seen) => {
          sizes.push(JSON.stringify(row).length);
          return memory.sessionRepository.update(row, seen);
        },
      },
    };
    const manager = new PersistenceManager({ adapter });
    await manager.saveTurn({ session: createSession({ id: "s", data: { text: "x".repeat(8000) } }) });
    const result: unknown = await manager
      .saveMessage({ sessionId: "s", role: "user", content: "y".repeat(8000) })
      .catch((error: unknown) => error);
    expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(10_000);
    expect(result).toMatchObject({ code: "COMMIT_TOO_LARGE" });
  });
});
