import { describe, expect, it } from "@jest/globals";
import { Agent } from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import { MemoryAdapter } from "../../src/index.js";

describe("a chat that waits for another chat of its session", () => {
  it("stops waiting when its signal is aborted, and is not taken later", async () => {
    let answer: (text: string) => void = () => {};
    const gate = new Promise<string>((resolve) => {
      answer = resolve;
    });
    const model = scriptedModel(() => gate);
    const agent = new Agent({ name: "a", provider: model, persistence: { adapter: new MemoryAdapter() } });
    const handle = agent.session("s");
    const first = handle.chat("one");
    const stop = new AbortController();
    const second = handle.chat("two", { signal: stop.signal });
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: "ABORTED" });
    answer("x");
    await first;
    await handle.chat("three");
    expect((await handle.messages()).map(({ content }) => content)).toEqual(["one", "x", "three", "x"]);
  });
});
