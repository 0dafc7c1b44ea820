import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { Agent } from "../../src/agent/agent.js";
import type { ModelRequest } from "../../src/agent/provider.js";
import type { Message } from "../../src/contract/message.js";
import type { SessionHandle } from "../../src/session/handle.js";
import { stableWindow } from "../../src/session/window.js";
import { type ScriptedModel, scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";
import { eachStore } from "../support/stores.js";

/** What a provider would send first. */
const prefixOf = ({ instructions, history, stable }: ModelRequest) =>
  JSON.stringify([instructions, history.slice(0, stable?.history ?? 0)]);

function talker(options: { historyLimit?: number; promptCaching?: boolean }) {
  const model = scriptedModel(({ history }) => `heard ${history.at(-1)?.content}`);
  const base = { name: "Talker", instructions: "Be kind.", provider: model, promptCaching: true };
  return { model, base: { ...base, ...options } };
}

/** That each marked part begins the next request too. Answers how many messages were marked, turn by turn. */
function checkPrefixes({ requests }: ScriptedModel): (number | undefined)[] {
  for (const [index, request] of requests.entries()) {
    const next = requests[index + 1];
    if (next === undefined) continue;
    const { stable } = request;
    expect(prefixOf({ ...next, ...(stable === undefined ? {} : { stable }) })).toBe(prefixOf(request));
    expect(stable?.history).toBeLessThan(request.history.length);
  }
  return requests.map(({ stable }) => stable?.history);
}

async function say(session: SessionHandle<Record<string, unknown>>, turns: number): Promise<void> {
  for (let turn = 1; turn <= turns; turn++) await session.chat(`turn ${turn}`);
}

const kinds = [
  ...eachStore().map(([name, open]) => [name, () => ({ persistence: { adapter: open() } }), "s"] as const),
  ["memory", () => ({}), undefined] as const,
];

describe.each(kinds)("prompt caching on %s", (_name, options, id) => {
  it("marks what the next turn repeats to the byte, also when the conversation is longer than its window", async () => {
    const { model, base } = talker({ historyLimit: 8 });
    await say(new Agent({ ...base, ...options() }).session(id), 14);
    // The window begins anew at the messages 5, 9, 13 …: the turn before that marks no history.
    expect(checkPrefixes(model)).toEqual([0, 2, 4, 6, 0, 6, 0, 6, 0, 6, 0, 6, 0, 6]);
    for (const { history } of model.requests) expect(history.length).toBeLessThanOrEqual(9);
  });

  it("is said only where it is asked for, and then the window slides", async () => {
    const { model, base } = talker({ historyLimit: 4, promptCaching: false });
    await say(new Agent({ ...base, ...options() }).session(id), 5);
    expect(model.requests.map(({ stable }) => stable)).toEqual([1, 2, 3, 4, 5].map(() => undefined));
    expect(model.requests.map(({ history }) => history[0]?.content)).toEqual([
      ...["turn 1", "turn 1", "turn 1", "turn 2", "turn 3"],
    ]);
  });
});

describe("prompt caching", () => {
  it("of respond marks all that was said before the last message", async () => {
    const { model, base } = talker({});
    const agent = new Agent({ ...base, persistence: { adapter: mapAdapter() } });
    const session = agent.createSession({ id: "s" });
    for (const content of ["one", "two", "three"]) {
      const history: Message[] = await agent.getPersistenceManager().loadSessionHistory("s");
      await agent.respond({ history: [...history, { role: "user", content }], session });
    }
    expect(checkPrefixes(model)).toEqual([0, 2, 4]);
    await agent.respond({ history: [], session: agent.createSession() });
    expect(model.requests.at(-1)?.stable).toEqual({ history: 0 });
  });

  it("is the same for all questions of one turn", async () => {
    const model = scriptedModel([
      { message: "?", data: { name: "Ada" } },
      { message: "Done.", step: null },
    ]);
    const agent = new Agent({
      name: "Talker",
      provider: model,
      promptCaching: true,
      routes: [{ id: "a", steps: [{ id: "b", prompt: "?", collect: ["name"] }] }],
    });
    await agent.session().chat("Ada");
    expect(model.requests).toHaveLength(2);
    expect(checkPrefixes(model)).toEqual([0, 0]);
  });

  it("shows at least half of the window and never more, whatever its size and the length of the conversation", () => {
    const sizes = fc.record({
      limit: fc.integer({ min: 1, max: 60 }),
      last: fc.integer({ min: 0, max: 400 }),
    });
    fc.assert(
      fc.property(sizes, ({ limit, last }) => {
        const windowAt = (end: number) => {
          const first = Math.max(1, end - limit + 1);
          const said = (sequence: number): Message => ({ role: "user", content: "", sequence });
          const recent = Array.from({ length: end - first + 1 }, (_, index) => said(first + index));
          return stableWindow(recent, limit);
        };
        const { messages, stable } = windowAt(last);
        expect(messages.length).toBeLessThanOrEqual(limit);
        expect(messages.length).toBeGreaterThanOrEqual(Math.min(last, Math.ceil(limit / 2)));
        expect(windowAt(last + 2).messages.slice(0, stable)).toEqual(messages.slice(0, stable));
      }),
    );
  });
});
