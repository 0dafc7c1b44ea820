import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

const text = {
  "~standard": {
    version: 1 as const,
    vendor: "test",
    validate: (value: unknown) =>
      typeof value === "string" ? { value } : { issues: [{ message: "must be a text" }] },
  },
};

describe("what a merge function returns", () => {
  it("is checked by the schema before it is stored", async () => {
    const adapter = new MemoryAdapter();
    const open = () => new PersistenceManager<{ email: string }>({ adapter, schema: { email: text } });
    const here = open();
    const there = open();
    await here.saveTurn({ session: createSession<{ email: string }>({ id: "s", data: { email: "a" } }) });
    const mine = await here.loadSessionState("s");
    const theirs = await there.loadSessionState("s");
    if (mine === null || theirs === null) throw new Error("not there");
    theirs.data.email = "b";
    await there.saveTurn({ session: theirs });
    mine.data.email = "c";
    const bad: unknown = ["b", "c"];
    const result = await here
      .saveTurn({
        session: mine,
        conflict: ({ theirs }) => ({ ...theirs, data: { email: bad as string } }),
      })
      .catch((error: unknown) => error);
    expect(result).toMatchObject({ code: "INVALID_STATE" });
    expect((await there.loadSessionState("s"))?.data).toEqual({ email: "b" });
  });
});
