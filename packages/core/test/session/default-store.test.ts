import { mkdtempSync, rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { Agent } from "../../src/agent/agent.js";
import { mapAdapter } from "../support/map-adapter.js";
import { scriptedModel } from "../../src/testing.js";

const home = process.env["WAYMARK_HOME"];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waymark-default-"));
  process.env["WAYMARK_HOME"] = folder;
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  if (home === undefined) delete process.env["WAYMARK_HOME"];
  else process.env["WAYMARK_HOME"] = home;
});

const make = (options: { sessionId?: string } = {}) =>
  new Agent({
    name: "Count",
    provider: scriptedModel(({ history }) => `${history.length}`),
    routes: [],
    ...options,
  });

const files = async () => (await readdir(folder, { recursive: true })).length;

describe("without an adapter", () => {
  it("the agent's own session is kept in files when it has an id", async () => {
    expect((await make({ sessionId: "own" }).chat("one")).message).toBe("1");
    expect((await make({ sessionId: "own" }).chat("two")).message).toBe("3");
    expect(await files()).toBeGreaterThan(0);
    const agent = make({ sessionId: "own" });
    expect((await agent.session("own").messages()).map(({ content }) => content)).toEqual([
      "one",
      "1",
      "two",
      "3",
    ]);
    expect(agent.hasPersistence()).toBe(false);
  });

  it("so is the session of a handle with an id", async () => {
    await make().session("s").chat("one");
    expect((await make().session("s").chat("two")).message).toBe("3");
    expect(await make().session("s").delete()).toBe(true);
    expect(await make().session("s").messages()).toEqual([]);
  });

  it("a session without an id leaves no file", async () => {
    const agent = make();
    await agent.chat("one");
    await agent.session().chat("one");
    expect(await files()).toBe(0);
  });

  it("respond with a state that has an id leaves no file", async () => {
    const agent = make({ sessionId: "own" });
    await agent.respond({ history: [], session: agent.createSession({ id: "s" }) });
    expect(await files()).toBe(0);
  });

  it("an adapter, where there is one, is used instead", async () => {
    const adapter = mapAdapter();
    const agent = new Agent({
      name: "Count",
      provider: scriptedModel(["1"]),
      routes: [],
      sessionId: "own",
      persistence: { adapter },
    });
    await agent.chat("one");
    expect(await files()).toBe(0);
    expect(adapter.rows.size).toBe(1);
  });
});
