import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, jest, test } from "@jest/globals";
import type { SessionRow } from "../../src/contract/row.js";
import {
  committed,
  creation,
  entry,
  filesOf,
  folderOf,
  logOf,
  newAdapter,
  numbers,
  row,
  temporaryFolder,
  turn,
} from "./support.js";

jest.setTimeout(60_000);

describe("rows in files", () => {
  test("are created once, replaced by revision and removed by revision", async () => {
    const { sessionRepository: sessions } = newAdapter();
    const one = row("s", { userId: "u", state: { a: 1 } });
    expect(await sessions.findById("s")).toBeNull();
    expect(await sessions.create(one)).toBe(true);
    expect(await sessions.create(row("s"))).toBe(false);
    const two = row("s", { state: { b: 2 } });
    expect(await sessions.update(two, "other")).toBe(false);
    expect(await sessions.update(two, one.revision)).toBe(true);
    expect(await sessions.findById("s")).toEqual(two);
    expect(await sessions.delete("s", one.revision)).toBe(false);
    expect(await sessions.delete("s", two.revision)).toBe(true);
    expect(await sessions.delete("s", two.revision)).toBe(false);
    expect(await sessions.update(two, two.revision)).toBe(false);
    expect(await sessions.findById("s")).toBeNull();
  });

  test("keep values as they are, whatever their keys and characters", async () => {
    const directory = temporaryFolder();
    const state = JSON.parse(
      '{"__proto__":{"a":1},"$where":1,"a.b":"\\u0000\\ud800\\u2028\\n","list":[null,true,1e300]}',
    );
    await newAdapter(directory).sessionRepository.create(row("s", { state }));
    const found = await newAdapter(directory).sessionRepository.findById("s");
    expect(JSON.stringify(found?.state)).toBe(JSON.stringify(state));
  });

  test("are removed with their files, and those of another life stay until they are removed too", async () => {
    const adapter = newAdapter();
    const one = row("s");
    await adapter.sessionRepository.create(one);
    await adapter.messageRepository.insert([entry("s", 1, "other"), entry("s", 1)]);
    expect(await adapter.messageRepository.deleteBySessionId("s", { log: "life" })).toBe(1);
    expect(await adapter.sessionRepository.delete("s", one.revision)).toBe(true);
    expect(
      await adapter.messageRepository.findBySessionId("s", { log: "other", from: 1, to: 9 }),
    ).toHaveLength(1);
    expect(await adapter.sessionRepository.create(row("s", { life: "new" }))).toBe(true);
    const now = await adapter.sessionRepository.findById("s");
    expect(await adapter.sessionRepository.delete("s", now?.revision ?? "")).toBe(true);
    expect(await adapter.messageRepository.deleteBySessionId("s", { log: "other" })).toBe(1);
    expect(readdirSync(adapter.directory)).toEqual([]);
  });

  const ids = ["a", "A", "é", "e\u0301", "..", "a/b", "con", "x".repeat(128), "É".repeat(64)];
  test("of ids that look alike are different sessions, all inside the folder", async () => {
    const directory = temporaryFolder();
    const { sessionRepository: sessions, messageRepository: messages } = newAdapter(
      join(directory, "inside"),
    );
    for (const id of ids) expect(await sessions.create(row(id, { state: { id } }))).toBe(true);
    for (const id of ids) await messages.insert([entry(id, 1, "life", id)]);
    for (const id of ids) {
      expect((await sessions.findById(id))?.state).toEqual({ id });
      expect(await messages.findBySessionId(id, { log: "life", from: 1, to: 1 })).toMatchObject([
        { content: id },
      ]);
    }
    const page = await sessions.find({}, { limit: 100 });
    expect(page.items.map(({ id }) => id)).toEqual(
      ids.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    expect(readdirSync(directory)).toEqual(["inside"]);
  });

  test.each([
    ["lone surrogate", "\ud800"],
    ["U+0000", "a\0"],
    ["empty", ""],
    ["129 bytes", "x".repeat(129)],
  ])("refuse an id on every path: %s", async (_, id) => {
    const { sessionRepository: sessions, messageRepository: messages, turns, directory } = newAdapter();
    const calls = [
      () => sessions.create(row(id)),
      () => sessions.findById(id),
      () => sessions.update(row(id), "r"),
      () => sessions.delete(id, "r"),
      () => messages.insert([entry(id, 1)]),
      () => messages.findBySessionId(id, { log: "life", from: 1, to: 1 }),
      () => messages.deleteBySessionId(id, { log: "life" }),
      () => turns.load(id, { last: 1 }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "INVALID_ID" });
    expect(await turns.commit([turn(id, creation)])).toMatchObject([
      { status: "failed", error: { code: "INVALID_ID" } },
    ]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("and their folders are for their owner alone", async () => {
    const adapter = newAdapter(join(temporaryFolder(), "new", "store"));
    await committed(adapter, turn("s", creation));
    const mode = (path: string): number => statSync(path).mode & 0o777;
    expect([adapter.directory, folderOf(adapter.directory, "s")].map(mode)).toEqual([0o700, 0o700]);
    expect(mode(logOf(adapter.directory, "s"))).toBe(0o600);
    await adapter.messageRepository.insert(numbers(1, 4).map((n) => entry("s", n, "x", "y".repeat(200_000))));
    await adapter.messageRepository.insert([entry("s", 5, "x")]);
    expect(filesOf(adapter.directory, "s", ".messages").map(mode)).toEqual([0o600]);
  });
});

describe("find", () => {
  test("filters, orders by createdAt and id, and pages by cursor", async () => {
    const directory = temporaryFolder();
    const { sessionRepository: sessions } = newAdapter(directory);
    const rows: SessionRow[] = [];
    for (let n = 0; n < 40; n++) {
      rows.push(
        row(`s${n}`, {
          createdAt: n % 7,
          updatedAt: n,
          userId: n % 2 === 0 ? "even" : null,
          agentName: n < 10 ? "first" : null,
          status: n % 5 === 0 ? "deleting" : n % 5 === 1 ? "completed" : "active",
          expiresAt: n % 3 === 0 ? n : null,
          dirty: n % 4 === 0,
        }),
      );
    }
    for (const one of rows) await sessions.create(one);
    const ordered = rows.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
    const all = async (filter: Parameters<typeof sessions.find>[0], limit: number): Promise<string[]> => {
      const found: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = await newAdapter(directory).sessionRepository.find(filter, {
          limit,
          ...(cursor === undefined ? {} : { cursor }),
        });
        expect(page.items.length).toBeLessThanOrEqual(limit);
        found.push(...page.items.map(({ id }) => id));
        cursor = page.next;
      }
      return found;
    };
    const expected = (matches: (one: SessionRow) => boolean): string[] =>
      ordered.filter(matches).map(({ id }) => id);
    const isShown = (one: SessionRow): boolean => one.status !== "deleting";
    expect(await all({}, 3)).toEqual(expected(isShown));
    expect(await all({ userId: "even" }, 100)).toEqual(
      expected((one) => isShown(one) && one.userId === "even"),
    );
    expect(await all({ agentName: "first" }, 1)).toEqual(
      expected((one) => isShown(one) && one.agentName === "first"),
    );
    expect(await all({ status: ["deleting"] }, 5)).toEqual(expected((one) => !isShown(one)));
    expect(await all({ updatedBefore: 20, updatedAfter: 10 }, 5)).toEqual(
      expected((one) => isShown(one) && one.updatedAt < 20 && one.updatedAt > 10),
    );
    expect(await all({ expiresBefore: 12, dirty: true }, 5)).toEqual(
      expected((one) => isShown(one) && one.expiresAt !== null && one.expiresAt < 12 && one.dirty),
    );
  });

  test("reads rows that are far from the end of their file", async () => {
    const adapter = newAdapter();
    const big = row("big", { state: { text: "x".repeat(100_000) } });
    await adapter.sessionRepository.create(big);
    await adapter.messageRepository.insert(
      numbers(1, 3).map((n) => entry("big", n, "life", "y".repeat(30_000))),
    );
    await adapter.messageRepository.insert([entry("big", 4)]);
    await adapter.messageRepository.insert([entry("without row", 1)]);
    expect((await adapter.sessionRepository.find({}, { limit: 10 })).items).toEqual([big]);
  });

  test.each([
    "",
    "x",
    "W10",
    Buffer.from('["1","s"]').toString("base64url"),
    Buffer.from('[1,"\\ud800"]').toString("base64url"),
  ])("refuses a cursor that it did not make: %j", async (cursor) => {
    const { sessionRepository: sessions } = newAdapter();
    await expect(sessions.find({}, { limit: 1, cursor })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test.each([0, 101, 1.5, Number.NaN])("refuses a limit of %d", async (limit) => {
    await expect(newAdapter().sessionRepository.find({}, { limit })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

describe("messages in files", () => {
  const long = "x".repeat(40_000);

  test("are found by range, from the log and from the archive, in any order of insertion", async () => {
    const directory = temporaryFolder();
    const { messageRepository: messages } = newAdapter(directory);
    const order = numbers(1, 120).toSorted((a, b) => ((a * 53) % 121) - ((b * 53) % 121));
    for (let at = 0; at < order.length; at += 4) {
      const few = order.slice(at, at + 4);
      await messages.insert(few.map((n) => entry("s", n, "life", `${n} ${long}`)));
      await messages.insert(few.map((n) => entry("s", n, "life", "second")));
    }
    for (const [from, to] of [
      [1, 120],
      [1, 1],
      [60, 70],
      [120, 500],
      [121, 500],
      [0, 3],
      [5, 4],
    ] as const) {
      const found = await newAdapter(directory).messageRepository.findBySessionId("s", {
        log: "life",
        from,
        to,
      });
      expect(found.map(({ content }) => Number.parseInt(content, 10))).toEqual(
        numbers(1, 120).filter((n) => n >= from && n <= to),
      );
    }
    expect(filesOf(directory, "s", ".messages")).toHaveLength(1);
  });

  test("in a long history are found without reading it", async () => {
    const directory = temporaryFolder();
    const { messageRepository: messages } = newAdapter(directory);
    for (let n = 0; n < 60; n++) {
      await messages.insert(
        numbers(n * 10 + 1, n * 10 + 10).map((sequence) =>
          entry("s", sequence, "life", `${sequence} ${long.slice(0, 8_000)}`),
        ),
      );
    }
    for (const sequence of [1, 2, 77, 300, 301, 555, 600]) {
      const found = await newAdapter(directory).messageRepository.findBySessionId("s", {
        log: "life",
        from: sequence,
        to: sequence,
      });
      expect(found.map(({ content }) => Number.parseInt(content, 10))).toEqual([sequence]);
    }
    expect(await messages.deleteBySessionId("s", { log: "life", to: 333 })).toBe(333);
    expect(await messages.deleteBySessionId("s", { log: "life", to: 333 })).toBe(0);
    expect(await messages.deleteBySessionId("s", { log: "life", to: 340 })).toBe(7);
    expect(
      await newAdapter(directory).messageRepository.findBySessionId("s", { log: "life", from: 1, to: 342 }),
    ).toMatchObject([{ sequence: 341 }, { sequence: 342 }]);
    await messages.insert([entry("s", 5, "life", "5 again")]);
    for (let n = 0; n < 8; n++) await messages.insert([entry("s", 1_000 + n, "life", long.repeat(4))]);
    expect(await messages.findBySessionId("s", { log: "life", from: 1, to: 341 })).toMatchObject([
      { content: "5 again" },
      { sequence: 341 },
    ]);
    expect(await messages.deleteBySessionId("s", { log: "life" })).toBe(1 + 260 + 8);
    expect(existsSync(folderOf(directory, "s"))).toBe(false);
  });

  test("that were removed have left the disk, whatever else is stored", async () => {
    const adapter = newAdapter();
    await committed(adapter, turn("s", creation, { state: { n: 1 }, messages: ["a secret"] }));
    await adapter.messageRepository.insert([entry("s", 1, "other", "kept")]);
    for (let n = 0; n < 5; n++)
      await adapter.messageRepository.insert([entry("s", 10 + n, "life", `a secret ${long.repeat(4)}`)]);
    expect(await adapter.messageRepository.deleteBySessionId("s", { log: "life" })).toBe(6);
    const folder = folderOf(adapter.directory, "s");
    const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
    expect(texts.join("")).not.toContain("a secret");
    expect(texts.join("")).toContain("kept");
    expect(await adapter.messageRepository.deleteBySessionId("s", { log: "life" })).toBe(0);
    expect((await adapter.sessionRepository.findById("s"))?.state).toEqual({ n: 1 });
  });

  test("of trimmed logs take no room for long", async () => {
    const adapter = newAdapter();
    for (let n = 1; n <= 100; n++) {
      await adapter.messageRepository.insert([entry("s", n, "life", long)]);
      if (n > 5) await adapter.messageRepository.deleteBySessionId("s", { log: "life", to: n - 5 });
    }
    const sizes = filesOf(adapter.directory, "s", "").map((path) => statSync(path).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1_000_000);
    expect(
      await adapter.messageRepository.findBySessionId("s", { log: "life", from: 1, to: 200 }),
    ).toHaveLength(5);
  });
});
