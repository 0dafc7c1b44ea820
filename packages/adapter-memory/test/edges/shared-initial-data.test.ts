import { describe, expect, it } from "@jest/globals";
import { Agent } from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("sessions that begin with the same data", () => {
  it("do not share what is collected", async () => {
    const agent = new Agent({
      name: "a",
      provider: scriptedModel(({ history }) => ({ message: "ok", data: { email: history.at(-1)?.content } })),
      routes: [
        {
          id: "r",
          steps: [
            { id: "e", prompt: "email?", collect: ["email"] },
            { id: "n", prompt: "n?", collect: ["n"] },
          ],
        },
      ],
      persistence: { adapter: new MemoryAdapter() },
    });
    const defaults = { language: "en" };
    const ada = agent.createSession({ id: "ada", data: defaults });
    const bob = agent.createSession({ id: "bob", data: defaults });
    await agent.respond({ session: ada, history: [{ role: "user", content: "ada@example.org" }] });
    expect(bob.data).toEqual({ language: "en" });
    expect(defaults).toEqual({ language: "en" });
  });
});
