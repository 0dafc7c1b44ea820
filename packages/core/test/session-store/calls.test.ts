import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { PersistenceManager } from "../../src/persistence/manager.js";
import { FileSessionStore } from "../../src/session-store/index.js";
import { createSession } from "../../src/state/session.js";
import { filesOf, folderOf, newAdapter, numbers, temporaryFolder } from "../file/support.js";

function newStore(options: { directory?: string; maxMessages?: number; lockTimeoutMs?: number } = {}) {
  return new FileSessionStore({ directory: temporaryFolder(), ...options });
}

async function fill(store: FileSessionStore, id: string, count: number): Promise<void> {
  for (const n of numbers(1, count)) await store.addUserMessage(id, `m${n}`);
}

describe("each call", () => {
  test("addMessage: the first one makes the session, and each is stored when it answers", async () => {
    const directory = temporaryFolder();
    const store = newStore({ directory });
    const before = Date.now();
    const first = await store.addMessage("boat-3", "system", "You rent out boats.");
    expect(first).toMatchObject({ role: "system", content: "You rent out boats.", sequence: 1 });
    expect(first.createdAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(await store.addMessage("boat-3", "tool", "{}")).toMatchObject({ role: "tool", sequence: 2 });
    const other = newStore({ directory });
    expect((await other.getSession("boat-3"))?.messages).toEqual([
      first,
      { role: "tool", content: "{}", sequence: 2, createdAt: expect.any(Date) },
    ]);
  });

  test("addUserMessage and addAssistantMessage say who speaks", async () => {
    const store = newStore();
    await store.addUserMessage("boat-3", "Is the red one free?");
    await store.addAssistantMessage("boat-3", "On Sunday.");
    expect(await store.getChatHistory("boat-3")).toEqual([
      { role: "user", content: "Is the red one free?" },
      { role: "assistant", content: "On Sunday." },
    ]);
  });

  test("getChatHistory gives the last messages, and none where there is no session", async () => {
    const store = newStore();
    await fill(store, "s", 4);
    expect(await store.getChatHistory("s", 2)).toEqual([
      { role: "user", content: "m3" },
      { role: "user", content: "m4" },
    ]);
    expect(await store.getChatHistory("s", 1_000)).toHaveLength(4);
    expect(await store.getChatHistory("nobody")).toEqual([]);
  });

  test("getSession gives what is known of a session, with a history of its own; null where there is none", async () => {
    const store = newStore();
    await fill(store, "s", 3);
    const session = await store.getSession("s");
    expect(session).toMatchObject({ id: "s", agentName: null, userId: null, metadata: {} });
    expect(session?.createdAt).toBeInstanceOf(Date);
    expect(session?.updatedAt.getTime()).toBeGreaterThanOrEqual(session?.createdAt.getTime() ?? Infinity);
    expect(session?.getChatHistory()).toHaveLength(3);
    expect(session?.getChatHistory(1)).toEqual([{ role: "user", content: "m3" }]);
    expect(() => session?.getChatHistory(0)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(await store.getSession("nobody")).toBeNull();
  });

  test("clearSession removes the messages and leaves the session", async () => {
    const directory = temporaryFolder();
    const store = newStore({ directory });
    const manager = new PersistenceManager({ adapter: newAdapter(directory), agentName: "Boats" });
    const session = createSession({ id: "s", data: { boat: "red" }, metadata: { channel: "web" } });
    await manager.saveTurn({ session, messages: [{ role: "user", content: "Hi" }], userId: "ada" });
    expect(await store.clearSession("s")).toBe(true);
    expect(await store.getSession("s")).toMatchObject({
      ...{ messages: [], agentName: "Boats", userId: "ada", metadata: { channel: "web" } },
    });
    expect((await manager.loadSessionState("s"))?.data).toEqual({ boat: "red" });
    expect(await store.addUserMessage("s", "Again")).toMatchObject({ sequence: 2 });
    expect(await store.getChatHistory("s")).toEqual([{ role: "user", content: "Again" }]);
    expect(await store.clearSession("nobody")).toBe(false);
    expect(await store.sessionExists("nobody")).toBe(false);
  });

  test("clearSession removes the text from the disk, also what was moved to another file", async () => {
    const directory = temporaryFolder();
    const store = newStore({ directory });
    const textOnDisk = () =>
      filesOf(directory, "s", "").filter((file) => readFileSync(file, "utf8").includes("my secret"));
    const long = "x".repeat(300_000);
    await store.addUserMessage("s", "Hi");
    for (const n of numbers(1, 3)) await store.addUserMessage("s", `${n} my secret ${long}`);
    expect(filesOf(directory, "s", ".messages")).toHaveLength(1);
    expect(textOnDisk()).toHaveLength(2);
    await store.clearSession("s");
    expect(textOnDisk()).toEqual([]);
    await store.addUserMessage("s", "my secret");
    await newStore({ directory }).clearSession("s");
    expect(textOnDisk()).toEqual([]);
    expect(await store.addUserMessage("s", "Again")).toMatchObject({ sequence: 6 });
    expect(await store.getChatHistory("s")).toHaveLength(1);
  });

  test("deleteSession removes all, says whether it was there, and the id is free again", async () => {
    const store = newStore();
    await fill(store, "s", 2);
    expect(await store.deleteSession("s")).toBe(true);
    expect(await store.deleteSession("s")).toBe(false);
    expect(await store.getSession("s")).toBeNull();
    expect(await store.addUserMessage("s", "new")).toMatchObject({ sequence: 1 });
  });

  test("listSessions gives pages, 50 sessions each where nobody says", async () => {
    const store = newStore();
    const ids = numbers(1, 52).map((n) => `s-${n}`);
    await Promise.all(ids.map((id) => store.addUserMessage(id, "Hi")));
    const first = await store.listSessions();
    expect(first).toHaveLength(50);
    expect(first[0]).toMatchObject({ messageCount: 1, userId: null, status: "active" });
    const second = await store.listSessions(50, first.next ?? "");
    expect(second.next).toBeNull();
    expect([...first, ...second].map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(await store.listSessions(3)).toEqual(first.slice(0, 3));
  });

  test("sessionExists", async () => {
    const store = newStore();
    expect(await store.sessionExists("s")).toBe(false);
    await store.addUserMessage("s", "Hi");
    expect(await store.sessionExists("s")).toBe(true);
  });

  test("close waits for what was asked, and refuses what comes after", async () => {
    const store = newStore();
    const saved = numbers(1, 5).map((n) => store.addUserMessage("s", `m${n}`));
    await store.close();
    expect((await Promise.all(saved)).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    await expect(store.addUserMessage("s", "late")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(store.listSessions()).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("the window", () => {
  test("is what is given back, and what is kept but for a tenth", async () => {
    const directory = temporaryFolder();
    const store = newStore({ directory, maxMessages: 20 });
    await fill(store, "s", 57);
    const wanted = numbers(38, 57).map((n) => `m${n}`);
    expect((await store.getChatHistory("s")).map(({ content }) => content)).toEqual(wanted);
    expect((await store.getChatHistory("s", 1_000)).map(({ content }) => content)).toEqual(wanted);
    expect((await store.getSession("s"))?.messages.map(({ content }) => content)).toEqual(wanted);
    const kept = await new PersistenceManager({ adapter: newAdapter(directory) }).loadSessionHistory("s");
    expect(kept.length).toBeGreaterThanOrEqual(20);
    expect(kept.length).toBeLessThanOrEqual(22);
  });

  test("of 1 keeps one message", async () => {
    const directory = temporaryFolder();
    const store = newStore({ directory, maxMessages: 1 });
    await fill(store, "s", 3);
    const kept = await new PersistenceManager({ adapter: newAdapter(directory) }).loadSessionHistory("s");
    expect(kept.map(({ content }) => content)).toEqual(["m3"]);
  });

  test("is 100 where nobody says", async () => {
    const store = newStore();
    expect(store.maxMessages).toBe(100);
    await fill(store, "s", 103);
    expect(await store.getChatHistory("s")).toHaveLength(100);
  });

  const wrong: readonly unknown[] = [0, -1, 1e9, NaN, 1.5, Infinity, "10", null];
  test.each(wrong)("of %p is refused", async (value) => {
    const isWrong = { code: "INVALID_ARGUMENT" };
    const given = value as never;
    expect(() => newStore({ maxMessages: given })).toThrow(expect.objectContaining(isWrong));
    const store = newStore();
    await expect(store.getChatHistory("s", given)).rejects.toMatchObject(isWrong);
    await expect(store.listSessions(given)).rejects.toMatchObject(isWrong);
  });
});

describe("bad input", () => {
  test.each(["", "x", "bm9uc2Vuc2U", 7, null])("the cursor %p is none of a page", async (cursor) => {
    const store = newStore();
    await store.addUserMessage("s", "Hi");
    await expect(store.listSessions(1, cursor as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test.each([
    "../outside",
    "a/../../b",
    "/etc/passwd",
    "..",
    "CON",
    "a\\b",
    ".hidden",
    "s.json",
    "Ünï-🦊",
    "S",
    "s",
  ])("the id %p is an id like any other, and stays in the folder", async (id) => {
    const directory = join(temporaryFolder(), "sessions");
    const store = newStore({ directory });
    await store.addUserMessage(id, `of ${id}`);
    await store.addUserMessage(`${id}2`, "another");
    expect(await store.getChatHistory(id)).toEqual([{ role: "user", content: `of ${id}` }]);
    expect((await store.listSessions()).map((session) => session.id).toSorted()).toEqual([id, `${id}2`]);
    expect(folderOf(directory, id).startsWith(`${directory}/`)).toBe(true);
  });

  const ids: readonly unknown[] = ["", "a\0b", "\ud800", "x".repeat(129), 7, null, undefined, {}];
  test.each(ids)("the id %p is refused by every call", async (value) => {
    const directory = join(temporaryFolder(), "sessions");
    const store = newStore({ directory });
    const id = value as never;
    for (const call of [
      () => store.addMessage(id, "user", "Hi"),
      () => store.addUserMessage(id, "Hi"),
      () => store.addAssistantMessage(id, "Hi"),
      () => store.getChatHistory(id),
      () => store.getSession(id),
      () => store.clearSession(id),
      () => store.deleteSession(id),
      () => store.sessionExists(id),
    ])
      await expect(call()).rejects.toMatchObject({ code: "INVALID_ID" });
    expect(await store.listSessions()).toEqual([]);
  });

  const messages: readonly (readonly [unknown, unknown])[] = [
    ["robot", "Hi"],
    ["", "Hi"],
    ["User", "Hi"],
    [undefined, "Hi"],
    ["user", 7],
    ["user", null],
    ["user", undefined],
    ["user", ["Hi"]],
    ["user", { text: "secret" }],
  ];
  test.each(messages)(
    "a message of %p that says %p is refused, and makes no session",
    async (role, content) => {
      const store = newStore();
      const failed = store.addMessage("s", role as never, content as never);
      await expect(failed).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      await expect(failed).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
      expect(await store.sessionExists("s")).toBe(false);
    },
  );

  test.each(["", "\0", "\ud800", "line\r\nbreak", "🦊".repeat(50_000)])(
    "any text comes back equal: %#",
    async (text) => {
      const store = newStore();
      await store.addUserMessage("s", text);
      await store.addAssistantMessage("s", text);
      expect((await store.getChatHistory("s")).map(({ content }) => content === text)).toEqual([true, true]);
    },
  );

  test("a message that is larger than a commit is refused", async () => {
    const store = newStore();
    const text = "x".repeat(17 * 1024 * 1024);
    await expect(store.addUserMessage("s", text)).rejects.toMatchObject({ code: "COMMIT_TOO_LARGE" });
  });

  test("a folder that cannot be written is said to be so", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    for (const directory of [file, join(file, "below")]) {
      const store = newStore({ directory });
      await expect(store.addUserMessage("s", "Hi")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      await expect(store.getChatHistory("s")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      await expect(store.listSessions()).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    }
  });

  // The superuser may write wherever it is.
  (process.getuid?.() === 0 ? test.skip : test)("a folder without the right to write is, too", async () => {
    const directory = join(temporaryFolder(), "sessions");
    mkdirSync(directory);
    chmodSync(directory, 0o500);
    await expect(newStore({ directory }).addUserMessage("s", "Hi")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
  });

  test.each([0, -1, NaN, Infinity])("a lock timeout of %p is refused", (lockTimeoutMs) => {
    expect(() => newStore({ lockTimeoutMs })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("a lock that another process holds ends in STORAGE_LOCKED, and nothing is written", async () => {
    const directory = temporaryFolder();
    const store = newStore({ directory, lockTimeoutMs: 60 });
    await store.addUserMessage("s", "Hi");
    const holder = { pid: process.pid, host: "another machine", start: null, token: "t" };
    writeFileSync(`${folderOf(directory, "s")}.lock`, JSON.stringify(holder));
    await expect(store.addUserMessage("s", "more")).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    expect(await store.getChatHistory("s")).toHaveLength(1);
  });
});

describe("with others on the same folder", () => {
  test("a session of an agent or manager is the same session", async () => {
    const directory = temporaryFolder();
    const manager = new PersistenceManager({ adapter: newAdapter(directory) });
    const store = newStore({ directory });
    await store.addUserMessage("s", "Hi");
    const session = await manager.loadSessionState("s");
    if (session === null) throw new Error("the session is not there");
    await store.addUserMessage("s", "still there?");
    await manager.saveTurn({ session, messages: [{ role: "assistant", content: "Yes" }] });
    expect((await store.getChatHistory("s")).map(({ content }) => content)).toEqual([
      "Hi",
      "still there?",
      "Yes",
    ]);
    await manager.updateSessionStatus("s", "completed");
    await expect(store.addUserMessage("s", "more")).rejects.toMatchObject({ code: "SESSION_CLOSED" });
  });

  test("a state that only its agent can read is refused and left alone; its messages are read and added", async () => {
    const directory = temporaryFolder();
    const manager = new PersistenceManager({
      adapter: newAdapter(directory),
      schemaVersion: 2,
      migrations: { 1: (state) => state },
    });
    const session = createSession({ id: "s", data: { name: "Ada" } });
    await manager.saveTurn({ session, messages: [{ role: "user", content: "Hi" }] });
    const store = newStore({ directory });
    await expect(store.getSession("s")).rejects.toMatchObject({ code: "STATE_TOO_NEW" });
    await store.addAssistantMessage("s", "Hello");
    expect(await store.getChatHistory("s")).toHaveLength(2);
    expect((await manager.loadSessionState("s"))?.data).toEqual({ name: "Ada" });
  });

  test("calls that are not waited for keep their order, also while the session is made", async () => {
    const store = newStore();
    const calls = numbers(1, 20).map((n) => store.addUserMessage("s", `m${n}`));
    const cleared = store.clearSession("s");
    const after = store.addUserMessage("s", "after");
    expect((await Promise.all(calls)).map(({ sequence }) => sequence)).toEqual(numbers(1, 20));
    expect(await cleared).toBe(true);
    expect(await after).toMatchObject({ sequence: 21 });
    expect(await store.getChatHistory("s")).toEqual([{ role: "user", content: "after" }]);
  });

  test("a session that is deleted and made again all the time takes every message", async () => {
    const directory = temporaryFolder();
    const [store, other] = [newStore({ directory }), newStore({ directory })];
    const deleting = (async () => {
      for (let n = 0; n < 20; n++) await other.deleteSession("s");
    })();
    for (const n of numbers(1, 20))
      expect((await store.addUserMessage("s", `m${n}`)).sequence).toBeGreaterThan(0);
    await deleting;
  });
});
