import { describe, expect, it } from "@jest/globals";
import { Agent } from "../../src/agent/agent.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import { createSession } from "../../src/state/session.js";
import { scriptedModel, testEnvironment } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

describe("a scripted model", () => {
  it("answers in turn, remembers what it was asked, and says when it is at its end", async () => {
    const model = scriptedModel(["one", { message: "two" }, () => "three"]);
    const agent = new Agent({ name: "Script", provider: model, routes: [] });
    for (const text of ["one", "two", "three"]) expect((await agent.chat("?")).message).toBe(text);
    expect(model.requests).toHaveLength(3);
    await expect(agent.chat("?")).rejects.toMatchObject({
      code: "MODEL_FAILED",
      cause: expect.any(RangeError),
    });
  });
});

describe("a test environment", () => {
  it("makes two runs the same, byte for byte", async () => {
    const run = async () => {
      const adapter = mapAdapter();
      const environment = testEnvironment({ seed: "run" });
      const manager = new PersistenceManager({ adapter, environment });
      const session = createSession({ id: "s", metadata: { createdAt: new Date(environment.now()) } });
      await manager.saveTurn({ session, messages: [{ role: "user", content: "Hi" }] });
      environment.advance(1000);
      session.data["x"] = 1;
      await manager.saveTurn({ session, messages: [{ role: "user", content: "again" }] });
      await manager.flush();
      await environment.settled();
      return JSON.stringify([[...adapter.rows], [...adapter.entries]]);
    };
    const first = await run();
    expect(await run()).toBe(first);
    expect(first).toContain("run-000001");
  });

  it("lets deadlines end without waiting", async () => {
    const environment = testEnvironment();
    const before = environment.now();
    await environment.pause(1);
    await environment.pause(20);
    expect(environment.now()).toBe(before + 2 + 128);
    expect(environment.newId()).not.toBe(environment.newId());
  });
});
