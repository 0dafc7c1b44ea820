import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { FileSessionStore } from "../../src/session-store/index.js";
import { folderOf, numbers, temporaryFolder } from "../file/support.js";

/** A folder with these files. */
function folderWith(files: Record<string, unknown>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    const text =
      typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content);
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function newStore(directory = temporaryFolder()): FileSessionStore {
  return new FileSessionStore({ directory });
}

const sailing = {
  session_id: "sailing-9",
  messages: [
    { role: "user", content: "Is there wind?", timestamp: 1767323040.25 },
    {
      role: "assistant",
      content: "Enough.",
      timestamp: 1767323041,
      metadata: { model: "m-1", tokens: [3, 4] },
    },
  ],
  created_at: "2026-01-02T03:04:00+00:00",
  updated_at: "2026-01-02T03:04:01.500000+00:00",
  agent_name: "Skipper",
  user_id: "ada",
  metadata: { harbour: "north", deep: { list: [1, null, "x"] } },
};

const bare = {
  session_id: "bare",
  messages: [],
  created_at: "2026-01-02T05:04:00+02:00",
  updated_at: "2026-01-02T05:04:00+02:00",
};

test("a session comes with its id, roles, contents, times, owner, agent and metadata", async () => {
  const folder = folderWith({ "sailing-9.json": sailing, "bare.json": bare, "sailing-9.json.lock": "" });
  const store = newStore();
  expect(await store.importFolder(folder)).toEqual({
    imported: ["bare", "sailing-9"],
    existing: [],
    failed: [],
  });
  expect(await store.getSession("sailing-9")).toMatchObject({
    id: "sailing-9",
    agentName: "Skipper",
    userId: "ada",
    metadata: sailing.metadata,
    createdAt: new Date("2026-01-02T03:04:00Z"),
    updatedAt: new Date("2026-01-02T03:04:01.500Z"),
    messages: [
      {
        ...{ role: "user", content: "Is there wind?", sequence: 1 },
        createdAt: new Date("2026-01-02T03:04:00.250Z"),
      },
      {
        ...{ role: "assistant", content: "Enough.", sequence: 2, event: { model: "m-1", tokens: [3, 4] } },
        createdAt: new Date("2026-01-02T03:04:01Z"),
      },
    ],
  });
  expect(await store.getSession("bare")).toMatchObject({
    ...{ messages: [], agentName: null, userId: null, metadata: {} },
    createdAt: new Date("2026-01-02T03:04:00Z"),
  });
  expect((await store.listSessions()).map(({ id }) => id).toSorted()).toEqual(["bare", "sailing-9"]);
  expect(await store.addUserMessage("sailing-9", "And tomorrow?")).toMatchObject({ sequence: 3 });
});

test("a second import leaves what is there, and brings what is new", async () => {
  const folder = folderWith({ "sailing-9.json": sailing });
  const store = newStore();
  await store.importFolder(folder);
  await store.addUserMessage("sailing-9", "And tomorrow?");
  writeFileSync(join(folder, "bare.json"), JSON.stringify(bare));
  expect(await store.importFolder(folder)).toEqual({
    imported: ["bare"],
    existing: ["sailing-9"],
    failed: [],
  });
  expect(await store.getChatHistory("sailing-9")).toHaveLength(3);
});

test("more messages than the window are all taken; the newest are given back", async () => {
  const messages = numbers(1, 250).map((n) => ({ role: "user", content: `m${n}`, timestamp: n }));
  const store = newStore();
  await store.importFolder(folderWith({ "long.json": { ...bare, session_id: "long", messages } }));
  expect((await store.listSessions())[0]?.messageCount).toBe(250);
  const history = await store.getChatHistory("long");
  expect(history.map(({ content }) => content)).toEqual(numbers(151, 250).map((n) => `m${n}`));
});

test("two that import the same folder at once take each session over once", async () => {
  const files = numbers(1, 30).map((n) => [`${n}.json`, { ...sailing, session_id: `s${n}` }] as const);
  const folder = folderWith(Object.fromEntries(files));
  const directory = temporaryFolder();
  const reports = await Promise.all([1, 2].map(() => newStore(directory).importFolder(folder)));
  const ids = files.map(([, { session_id: id }]) => id).toSorted();
  for (const { imported, existing, failed } of reports) {
    expect([...imported, ...existing].toSorted()).toEqual(ids);
    expect(failed).toEqual([]);
  }
  expect(reports.flatMap(({ imported }) => imported).toSorted()).toEqual(ids);
  for (const id of ids) expect(await newStore(directory).getChatHistory(id)).toHaveLength(2);
});

test("where the store itself fails, the report says so", async () => {
  const directory = temporaryFolder();
  const holder = { pid: process.pid, host: "another machine", start: null, token: "t" };
  writeFileSync(`${folderOf(directory, "bare")}.lock`, JSON.stringify(holder));
  const store = new FileSessionStore({ directory, lockTimeoutMs: 60 });
  const folder = folderWith({ "a.json": bare, "b.json": sailing });
  const { imported, failed } = await store.importFolder(folder);
  expect(imported).toEqual(["sailing-9"]);
  expect(failed).toMatchObject([{ file: "a.json", error: { code: "STORAGE_LOCKED", retryable: true } }]);
});

const said = { role: "user", content: "a secret", timestamp: 5 };
const damaged: Record<string, readonly [unknown, string]> = {
  "is empty": ["", "STORAGE_DAMAGED"],
  "is torn": [JSON.stringify({ ...bare, messages: [said] }).slice(0, -40), "STORAGE_DAMAGED"],
  "is no JSON": ['a secret {"session_id"', "STORAGE_DAMAGED"],
  "is no UTF-8": [Uint8Array.of(34, 0xff, 34), "STORAGE_DAMAGED"],
  "holds NaN": [JSON.stringify({ ...bare, messages: [said] }).replace(":5}", ":NaN}"), "STORAGE_DAMAGED"],
  "is null": [null, "INVALID_VALUE"],
  "is a list": [[bare], "INVALID_VALUE"],
  "has no id": [{ ...bare, session_id: undefined }, "INVALID_VALUE"],
  "has an id that is a number": [{ ...bare, session_id: 5 }, "INVALID_VALUE"],
  "has an id that is empty": [{ ...bare, session_id: "" }, "INVALID_ID"],
  "has an id that is too long": [{ ...bare, session_id: "x".repeat(200) }, "INVALID_ID"],
  "has no messages": [{ ...bare, messages: undefined }, "INVALID_VALUE"],
  "has messages that are no list": [{ ...bare, messages: {} }, "INVALID_VALUE"],
  "has a message that is a text": [{ ...bare, messages: ["a secret"] }, "INVALID_VALUE"],
  "has an unknown role": [{ ...bare, messages: [said, { ...said, role: "robot" }] }, "INVALID_VALUE"],
  "has content that is no text": [
    { ...bare, messages: [{ ...said, content: ["a secret"] }] },
    "INVALID_VALUE",
  ],
  "has no timestamp": [{ ...bare, messages: [{ ...said, timestamp: undefined }] }, "INVALID_VALUE"],
  "has a timestamp out of range": [{ ...bare, messages: [{ ...said, timestamp: 1e300 }] }, "INVALID_VALUE"],
  "has more in a message": [{ ...bare, messages: [{ ...said, mood: "a secret" }] }, "INVALID_VALUE"],
  "has a field of a newer format": [{ ...bare, version: 2 }, "INVALID_VALUE"],
  "has a time that is none": [{ ...bare, created_at: "yesterday" }, "INVALID_VALUE"],
  "has no time": [{ ...bare, updated_at: null }, "INVALID_VALUE"],
  "has an owner that is a number": [{ ...bare, user_id: 5 }, "INVALID_VALUE"],
  "has an owner that is too long": [{ ...bare, user_id: "x".repeat(200) }, "INVALID_ID"],
  "has metadata that are no object": [{ ...bare, metadata: [] }, "INVALID_VALUE"],
  "has metadata with the name of a time": [{ ...bare, metadata: { createdAt: "x" } }, "INVALID_VALUE"],
};

describe("a file that is not what it should be is reported and left as it is, and the others are read", () => {
  test.each(Object.entries(damaged))("one that %s", async (_, [content, code]) => {
    const folder = folderWith({ "a.json": content, "b.json": sailing });
    const before = readFileSync(join(folder, "a.json"));
    const store = newStore();
    const { imported, failed } = await store.importFolder(folder);
    expect(imported).toEqual(["sailing-9"]);
    expect(failed).toMatchObject([{ file: "a.json", error: { code } }]);
    expect(failed[0]?.error.message).not.toContain("secret");
    expect(failed[0]?.error.cause).toBeUndefined();
    expect(await store.listSessions()).toHaveLength(1);
    expect(readFileSync(join(folder, "a.json"))).toEqual(before);
    expect(readdirSync(folder)).toEqual(["a.json", "b.json"]);
  });

  test("a folder with the name of a file", async () => {
    const folder = folderWith({ "b.json": sailing });
    mkdirSync(join(folder, "a.json"));
    const { imported, failed } = await newStore().importFolder(folder);
    expect(imported).toEqual(["sailing-9"]);
    expect(failed).toMatchObject([{ file: "a.json", error: { code: "STORAGE_FAILED" } }]);
  });

  test("the second of two files with the same session", async () => {
    const folder = folderWith({ "a.json": sailing, "b.json": { ...bare, session_id: "sailing-9" } });
    const store = newStore();
    const { imported, failed } = await store.importFolder(folder);
    expect(imported).toEqual(["sailing-9"]);
    expect(failed).toMatchObject([{ file: "b.json", error: { code: "INVALID_ARGUMENT" } }]);
    expect(await store.getChatHistory("sailing-9")).toHaveLength(2);
  });

  test("keys of any name in metadata are data", async () => {
    const text = JSON.stringify(bare).replace(/}$/, ',"metadata":{"__proto__":{"x":1},"constructor":2}}');
    const store = newStore();
    expect(await store.importFolder(folderWith({ "a.json": text }))).toMatchObject({ imported: ["bare"] });
    const metadata = (await store.getSession("bare"))?.metadata ?? {};
    expect(Object.keys(metadata).toSorted()).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  });
});

test.each(["", undefined, 5])("a folder of %p is refused", async (folder) => {
  const imported = newStore().importFolder(folder as never);
  await expect(imported).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a folder that is not there is said to be so", async () => {
  const imported = newStore().importFolder(join(temporaryFolder(), "none"));
  await expect(imported).rejects.toMatchObject({ code: "STORAGE_FAILED" });
});
