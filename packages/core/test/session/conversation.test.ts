import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { Agent } from "../../src/agent/agent.js";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { FileAdapter } from "../../src/file/index.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import { scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

// What people do with a session, call by call, in the order in which they learn it.

const directory = mkdtempSync(join(tmpdir(), "waymark-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let stores = 0;
const files = () => new FileAdapter({ directory: join(directory, String(stores++)) });

/** Remembers who it talks to only by what it is shown. */
const librarian = (adapter?: PersistenceAdapter, expireAfterMs?: number) =>
  new Agent({
    name: "Librarian",
    provider: scriptedModel(({ history }) => {
      const name = history.map(({ content }) => /^I am (\w+)/.exec(content)?.[1]).findLast(Boolean);
      return name === undefined ? "Who are you?" : `Hello, ${name}.`;
    }),
    ...(adapter === undefined
      ? {}
      : { persistence: { adapter, ...(expireAfterMs === undefined ? {} : { expireAfterMs }) } }),
  });

describe.each([
  ["memory", () => librarian().session()],
  ["files", () => librarian(files()).session("shelf-7")],
  ["an adapter", () => librarian(mapAdapter()).session("shelf-7")],
])("a session in %s", (_name, open) => {
  it("goes on with its conversation", async () => {
    const session = open();
    expect((await session.chat("Good morning")).message).toBe("Who are you?");
    expect((await session.chat("I am Noor")).message).toBe("Hello, Noor.");
    expect((await session.chat("Which books are late?")).message).toBe("Hello, Noor.");
  });

  it("gives its messages, takes further ones, and is cleared", async () => {
    const session = open();
    expect(await session.messages()).toEqual([]);
    await session.addMessage("user", "Is it open on Sunday?");
    await session.addMessage("assistant", "From ten to four.");
    expect((await session.messages()).map(({ role, content }) => [role, content])).toEqual([
      ["user", "Is it open on Sunday?"],
      ["assistant", "From ten to four."],
    ]);
    expect(await session.clear()).toBe(2);
    expect(await session.messages()).toEqual([]);
  });

  it("keeps values", async () => {
    const session = open();
    await session.set("card", 4711);
    await session.set("reading", { language: "sv", large: true });
    await session.updatePreference("reminders", "monthly");
    expect(await session.get("card")).toBe(4711);
    expect(await session.get("reading")).toEqual({ language: "sv", large: true });
    expect(await session.get("preferences")).toEqual({ reminders: "monthly" });
    expect(await session.get("shelf")).toBeUndefined();
  });

  it("tells of messages and of being cleared", async () => {
    const session = open();
    const told: unknown[] = [];
    const leave = session.on("messageAdded", ({ role, content }) => told.push([role, content]));
    session.on("cleared", ({ removed }) => told.push(["cleared", removed]));
    await session.addMessage("user", "one");
    await session.chat("two");
    await session.clear();
    leave();
    await session.addMessage("user", "three");
    expect(told).toEqual([
      ...[
        ["user", "one"],
        ["user", "two"],
        ["assistant", "Who are you?"],
      ],
      ["cleared", 3],
    ]);
  });
});

it("an agent made later knows the person, by the id alone", async () => {
  const adapter = files();
  await librarian(adapter).session("noor").chat("I am Noor");
  expect((await librarian(adapter).session("noor").chat("Do you know me?")).message).toBe("Hello, Noor.");
});

it("a block that holds a session leaves it saved, also by an error", async () => {
  const adapter = files();
  const work = async () => {
    await using session = librarian(adapter).session("noor");
    void session.chat("I am Noor");
    throw new Error("the light went out");
  };
  await expect(work()).rejects.toThrow("the light went out");
  const stored = await new PersistenceManager({ adapter }).loadSessionHistory("noor");
  expect(stored.map(({ content }) => content)).toEqual(["I am Noor", "Hello, Noor."]);
});

it("several people are served at once, each with a session of their own that ends by itself", async () => {
  const adapter = mapAdapter();
  const agent = librarian(adapter, 24 * 60 * 60 * 1000);
  const of = (user: string) => agent.session(`desk:${user}`, { userId: user });
  await Promise.all([of("noor").chat("I am Noor"), of("emil").chat("I am Emil")]);
  const answers = await Promise.all([of("noor").chat("Me?"), of("emil").chat("Me?")]);
  expect(answers.map(({ message }) => message)).toEqual(["Hello, Noor.", "Hello, Emil."]);
  const persistence = agent.getPersistenceManager();
  for (const user of ["noor", "emil"]) {
    const sessions = await persistence.findSessionsByUserId(user);
    expect(sessions.map(({ id }) => id)).toEqual([`desk:${user}`]);
    const end = sessions[0]?.expiresAt?.getTime() ?? 0;
    expect(end - Date.now()).toBeGreaterThan(23 * 60 * 60 * 1000);
  }
  expect(await persistence.loadSessionState("desk:noor", { userId: "emil" })).toBeNull();
});

it("moves from one store to another, whole, and goes on there", async () => {
  const [old, young] = [librarian(files()).session("noor"), librarian(mapAdapter()).session("noor")];
  await old.chat("I am Noor");
  await old.set("card", 4711);
  await young.import(JSON.parse(JSON.stringify(await old.export())));
  expect((await young.messages()).map(({ content }) => content)).toEqual(["I am Noor", "Hello, Noor."]);
  expect(await young.get("card")).toBe(4711);
  expect((await young.chat("And me?")).message).toBe("Hello, Noor.");
  expect(await old.messages()).toHaveLength(2);
});
