import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a merge function", () => {
  it("is given `mine` as it was when the save began, at each try", async () => {
    const memory = new MemoryAdapter();
    const there = new PersistenceManager<{ n: number }>({ adapter: memory });
    let interfere = 0;
    const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
    if (turns === undefined) throw new Error("memory has turns");
    const adapter: PersistenceAdapter = {
      ...{ name, durability, limits, sessionRepository, messageRepository },
      turns: {
        load: turns.load,
        commit: async (commits) => {
          if (interfere-- > 0) {
            const theirs = await there.loadSessionState("s");
            if (theirs === null) throw new Error("not there");
            theirs.data.n = (theirs.data.n ?? 0) + 1;
            await there.saveTurn({ session: theirs });
          }
          return turns.commit(commits);
        },
      },
    };
    const here = new PersistenceManager<{ n: number }>({ adapter });
    await there.saveTurn({ session: createSession<{ n: number }>({ id: "s", data: { n: 0 } }) });
    const mine = await here.loadSessionState("s");
    if (mine === null) throw new Error("not there");
    mine.data.n = 10;
    interfere = 2; // two others come first, one after the other: +1 +1
    await here.saveTurn({
      session: mine,
      conflict: ({ base, mine, theirs }) => {
        mine.data.n = (mine.data.n ?? 0) + (theirs.data.n ?? 0) - (base?.data.n ?? 0);
        return mine;
      },
    });
    expect(mine.data.n).toBe(12);
  });
});
