import { describe, expect, it } from "@jest/globals";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import type { Harness } from "../src/index.js";
import { startWorker } from "../src/process/spawn.js";
import { runKit } from "./support/run.js";
import { files } from "./support/stores.js";

const withEntry = (script: string): Harness => ({
  ...files,
  processEntry: new URL(`children/${script}`, import.meta.url),
});

/** Answers for a second what it has read last. */
function late(adapter: PersistenceAdapter): PersistenceAdapter {
  const { name, durability, limits, messageRepository, turns } = adapter;
  const sessionRepository = { ...adapter.sessionRepository };
  const held = <T>(read: (id: string) => Promise<T>) => {
    const answers = new Map<string, Promise<T>>();
    return (id: string) => {
      const answer = answers.get(id) ?? read(id);
      if (!answers.has(id)) setTimeout(() => answers.delete(id), 1000);
      answers.set(id, answer);
      return answer;
    };
  };
  sessionRepository.findById = held(sessionRepository.findById);
  const whole = turns && { ...turns, load: held((id) => turns.load(id, { last: 1000 })) };
  return { name, durability, limits, sessionRepository, messageRepository, turns: whole };
}

describe("other processes", () => {
  it.each([
    [
      "acknowledges before it has written",
      "early.mjs",
      /process that is killed/,
      /had been acknowledged and there are/,
    ],
    [
      "writes a turn in two steps",
      "torn.mjs",
      /process that is killed/,
      /not there as a whole|is not in the store/,
    ],
    [
      "compares in its own memory",
      "alone.mjs",
      /8 processes on one session/,
      /no order of the turns explains|is not in the store/,
    ],
  ])(
    "an adapter that %s: caught",
    async (what, script, only, message) => {
      const started = performance.now();
      const results = await runKit(withEntry(script), { only, isBrief: true });
      const caught = results.find(({ error }) => error !== null);
      expect(caught?.error?.message).toMatch(message);
      const ms = (performance.now() - started).toFixed(0);
      process.stdout.write(`note: "${what}": caught in ${ms} ms by ${caught?.path.slice(1).join(", ")}\n`);
    },
    120_000,
  );

  it("an adapter that reads what was there a moment ago: caught", async () => {
    const harness: Harness = {
      ...files,
      open: async () => {
        const store = await files.open();
        return { ...store, connect: async () => late(await store.connect()) };
      },
    };
    const results = await runKit(harness, { only: /found at once/ });
    expect(results).toHaveLength(2);
    for (const { error } of results)
      expect(error?.message).toMatch(/messages are found|was stored is not found/);
  }, 120_000);

  it.each([
    ["dies", "dies.mjs", /a worker process ended with code 3 .*the driver was not found/],
    ["is no entry", "none.mjs", /none\.mjs has no function as its default export/],
    ["is not there", "nowhere.mjs", /a worker process failed: .*nowhere\.mjs/],
  ])("an entry that %s is reported, and ends", async (_, script, message) => {
    for (const only of [/process that is killed/, /8 processes on one session/]) {
      const [result] = await runKit(withEntry(script), { only, isBrief: true });
      expect(result?.error?.message).toMatch(message);
    }
  });

  it("that has much to say before it ends is heard to the end", async () => {
    const { address, remove } = await files.open();
    const worker = await startWorker(withEntry("files.mjs"), address, "with whole turns");
    try {
      const sessions = Array.from({ length: 5000 }, (_, n) => `${n}-${"x".repeat(120)}`);
      worker.send({ kind: "judge", sessions });
      // Whoever is busy reads late.
      await new Promise(setImmediate);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
      const reply = await worker.next();
      expect(reply.kind === "judged" ? reply.seen.length : reply.kind).toBe(sessions.length);
    } finally {
      await worker.kill();
      await remove();
    }
  }, 60_000);

  it("without an address is told what is missing", async () => {
    const harness = {
      ...files,
      open: async () => {
        const { connect, remove } = await files.open();
        return { connect, remove };
      },
    };
    const [result] = await runKit(harness, { only: /process that is killed/, isBrief: true });
    expect(result?.error?.message).toMatch(/by the `address` of what `open` gives/);
  });
});
