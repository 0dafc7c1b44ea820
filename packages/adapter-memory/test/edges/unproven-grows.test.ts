import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a process that has served many sessions which others deleted", () => {
  it("does not remember each of them for ever", async () => {
    const memory = new MemoryAdapter({ without: ["turns"] });
    let reads = 0;
    const { sessionRepository: repository, messageRepository, limits } = memory;
    const adapter: PersistenceAdapter = {
      ...{ name: "m", durability: "process", limits, messageRepository },
      sessionRepository: {
        create: (row) => repository.create(row),
        update: (row, seen) => repository.update(row, seen),
        delete: (id, seen) => repository.delete(id, seen),
        find: (filter, page) => repository.find(filter, page),
        findById: (id) => {
          reads++;
          return repository.findById(id);
        },
      },
    };
    const here = new PersistenceManager({ adapter });
    const there = new PersistenceManager({ adapter: memory });
    for (let i = 0; i < 2000; i++) {
      await here.saveTurn({
        session: createSession({ id: `s${i}` }),
        messages: [{ role: "user", content: "x" }],
      });
      await there.deleteSession(`s${i}`);
      await here.loadSessionState(`s${i}`); // null
    }
    reads = 0;
    await here.flush(); // looks at all that it still remembers
    expect(reads).toBeLessThanOrEqual(600);
  });
});
