import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

describe("a rebase where one side holds an object without a prototype", () => {
  it.each(["data", "part"] as const)("leaves a session that can be loaded (%s)", async (where) => {
    const adapter = new MemoryAdapter();
    const here = new PersistenceManager({ adapter });
    const there = new PersistenceManager({ adapter });
    await here.saveTurn({ session: createSession({ id: "s" }) });
    const mine = await here.loadSessionState("s");
    const theirs = await there.loadSessionState("s");
    if (mine === null || theirs === null) throw new Error("not there");
    const bare: Record<string, unknown> = Object.assign(Object.create(null), { x: 1 });
    if (where === "data") {
      theirs.data = { y: 2 };
      mine.data = bare;
    } else {
      theirs.dataByRoute["r"] = { y: 2 };
      mine.dataByRoute["r"] = bare; // such as `match.groups`
    }
    await there.saveTurn({ session: theirs });
    await here.saveTurn({ session: mine }).catch((error: unknown) => error);
    const loaded = await here.loadSessionState("s");
    expect(loaded).not.toBeNull();
  });
});
