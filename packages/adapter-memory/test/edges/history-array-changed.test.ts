import { describe, expect, it } from "@jest/globals";
import { Agent, type Message, createSession } from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("respond", () => {
  it("stores the message that it was asked about, also when the array grows while the model thinks", async () => {
    const agent = new Agent({
      name: "a",
      provider: scriptedModel(async ({ history }) => {
        const text = `to ${history.at(-1)?.content}`;
        await new Promise((resolve) => setTimeout(resolve, 5));
        return text;
      }),
      persistence: { adapter: new MemoryAdapter() },
    });
    const session = createSession({ id: "s" });
    const history: Message[] = [{ role: "user", content: "one" }];
    const first = agent.respond({ session, history });
    await new Promise((resolve) => setTimeout(resolve, 2));
    history.push({ role: "user", content: "two" });
    const second = agent.respond({ session, history });
    await Promise.all([first, second]);
    const stored = await agent.getPersistenceManager().loadSessionHistory("s");

    expect(stored.map(({ content }) => content)).toEqual(["one", "to one", "two", "to two"]);
  });
});
