import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, jest, test } from "@jest/globals";
import { PersistenceManager, createSession } from "../../src/index.js";
import { encryptStore, withEncryption } from "../../src/wrap/index.js";
import { newAdapter, temporaryFolder } from "./support.js";

jest.setTimeout(60_000);

const keys = [{ id: "k1", key: new Uint8Array(32).fill(1) }];
const secret = "said in confidence";

/** Everything that is on the disk. */
function textsOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, "latin1"));
}

test("what a session said before it was encrypted leaves the disk", async () => {
  const directory = temporaryFolder();
  const adapter = newAdapter(directory);
  const plain = new PersistenceManager<Record<string, unknown>>({ adapter });
  const session = createSession<Record<string, unknown>>({ id: "s", data: { text: secret } });
  for (let turn = 0; turn < 40; turn++) {
    session.data["turn"] = turn;
    await plain.saveTurn({
      session,
      messages: Array.from({ length: 20 }, (_, n) => ({
        role: "user" as const,
        content: `${secret} ${n} ${"x".repeat(2000)}`,
      })),
      records: [{ key: "k", value: secret }],
    });
  }
  // Some of the messages are in an archive by now.
  expect(textsOf(directory).filter((text) => text.includes(secret)).length).toBeGreaterThan(1);
  const report = await encryptStore(adapter, { keys });
  expect(report).toEqual({ sessions: 1, rows: 1, messages: 800, records: 1 });
  expect(textsOf(directory).filter((text) => text.includes(secret))).toEqual([]);
  const reader = new PersistenceManager<Record<string, unknown>>({
    adapter: withEncryption(newAdapter(directory), { keys }),
  });
  expect((await reader.loadSessionState("s"))?.data).toEqual({ text: secret, turn: 39 });
  expect(await reader.findMessagesBySessionId("s", { limit: 100 })).toHaveLength(100);
  expect((await reader.records({ sessionId: "s" }).get("k"))?.value).toBe(secret);
});
