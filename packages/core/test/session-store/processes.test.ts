import { expect, jest, test } from "@jest/globals";
import { FileSessionStore } from "../../src/session-store/index.js";
import { numbers, startWorker, temporaryFolder } from "../file/support.js";

// Other processes take their time to start.
jest.setTimeout(60_000);

const script = "../../session-store/children/messages.mjs";

async function run(directory: string, maxMessages: number): Promise<FileSessionStore> {
  const workers = numbers(1, 8).map((name) =>
    startWorker(script, { directory, id: "s", name, count: 25, maxMessages }),
  );
  await Promise.all(workers.map(({ ended }) => ended));
  for (const { messages } of workers) expect(messages).toEqual([{ done: true }]);
  return new FileSessionStore({ directory, maxMessages });
}

test("eight processes that add messages to one new session lose none, and each finds its own in order", async () => {
  const store = await run(temporaryFolder(), 1_000);
  const messages = (await store.getSession("s"))?.messages ?? [];
  expect(messages.map(({ sequence }) => sequence)).toEqual(numbers(1, 200));
  for (const name of numbers(1, 8)) {
    const own = messages.map(({ content }) => content).filter((content) => content.startsWith(`${name}-`));
    expect(own).toEqual(numbers(1, 25).map((n) => `${name}-${n}`));
  }
});

test("eight processes with a small window keep the newest of all", async () => {
  const store = await run(temporaryFolder(), 10);
  const messages = (await store.getSession("s"))?.messages ?? [];
  expect(messages.map(({ sequence }) => sequence)).toEqual(numbers(191, 200));
  expect((await store.listSessions())[0]?.messageCount).toBe(10);
});
