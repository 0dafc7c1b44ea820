import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { FileAdapter } from "../../src/file/index.js";
import { type ScriptFunction, scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

const sessions = 50;
const turns = 4;

/** Notes the last word of every message, and lets others go first for a while that differs from question to question. */
const noting: ScriptFunction = async ({ history, fields }) => {
  const said = history.at(-1)?.content ?? "";
  for (let wait = (said.length * 7 + history.length * 3) % 5; wait > 0; wait--) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [owner, turn] = said.split(" ");
  if (!fields.some(({ name }) => name === `turn${turn}`)) return `${owner} ${turn} done`;
  return { message: `${owner} ${turn} noted`, data: { owner, [`turn${turn}`]: owner }, step: null };
};

function agentOn(adapter: PersistenceAdapter) {
  const names = ["owner", ...Array.from({ length: turns }, (_, turn) => `turn${turn}`)];
  const schema: Record<string, z.ZodString> = Object.fromEntries(names.map((name) => [name, z.string()]));
  return new Agent({
    name: "Notes",
    provider: scriptedModel(noting),
    schema,
    routes: [{ id: "notes", steps: names.map((name) => ({ id: name, prompt: "?", collect: [name] })) }],
    persistence: { adapter },
  });
}

const folder = mkdtempSync(join(tmpdir(), "waymark-agent-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stores: [name: string, open: (name: string) => PersistenceAdapter][] = [
  ["two plain repositories", mapAdapter],
  ["files", (name) => new FileAdapter({ directory: join(folder, name) })],
];

describe.each(stores)("200 requests for 50 sessions at once, on one agent, kept in %s", (_store, open) => {
  it("never meet: each session has its own turns, in order, and nothing of another", async () => {
    const agent = agentOn(open("handles"));
    const requests = Array.from({ length: turns }, (_, turn) =>
      Array.from({ length: sessions }, (_, owner) => ({ id: `s${owner}`, text: `p${owner} ${turn}` })),
    ).flat();
    expect(requests).toHaveLength(200);
    const answers = await Promise.all(requests.map(({ id, text }) => agent.session(id).chat(text)));
    for (const [index, { text }] of requests.entries())
      expect(answers[index]?.message.startsWith(text)).toBe(true);
    for (let owner = 0; owner < sessions; owner++) {
      const session = agent.session(`s${owner}`);
      const said = (await session.messages())
        .filter(({ role }) => role === "user")
        .map(({ content }) => content);
      expect(said).toEqual(Array.from({ length: turns }, (_, turn) => `p${owner} ${turn}`));
      const { data } = await session.state();
      expect(Object.values(data)).toEqual(Array.from({ length: turns + 1 }, () => `p${owner}`));
    }
  });

  it("never meet either where every request brings its own state", async () => {
    const agent = agentOn(open("states"));
    const persistence = agent.getPersistenceManager();
    const request = async (id: string, content: string) => {
      const opened = await persistence.open(id);
      const session = opened?.session ?? agent.createSession({ id });
      return agent.respond({ history: [...(opened?.messages ?? []), { role: "user", content }], session });
    };
    const each = Array.from({ length: sessions }, async (_, owner) => {
      for (let turn = 0; turn < turns; turn++) await request(`s${owner}`, `p${owner} ${turn}`);
    });
    await Promise.all(each);
    for (let owner = 0; owner < sessions; owner++) {
      const opened = await persistence.open(`s${owner}`);
      expect(new Set(opened?.messages.map(({ content }) => content.split(" ")[0]))).toEqual(
        new Set([`p${owner}`]),
      );
      expect(opened?.messages).toHaveLength(2 * turns);
      expect(new Set(Object.values(opened?.session.data ?? {}))).toEqual(new Set([`p${owner}`]));
    }
  });
});
