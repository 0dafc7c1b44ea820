import fs from "node:fs";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { StoredRecord } from "../../src/contract/facets.js";
import { applicationScope, sessionScope, userScope } from "../../src/contract/scope.js";
import { folderName, isScopeFolder, scopeFolderName } from "../../src/file/names.js";
import {
  committed,
  creation,
  folderOf,
  logOf,
  newAdapter,
  numbers,
  temporaryFolder,
  turn,
  unique,
} from "./support.js";

const next = { kind: "append" } as const;
const scope = sessionScope("s", "life");

function record(of: string, key: string, value: StoredRecord["value"] = 1): StoredRecord {
  return { scope: of, key, value, revision: unique(), stamp: "1" };
}

/** All that is on the disk, as text. */
function bytesIn(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => readFileSync(join(found.parentPath, found.name), "utf8"))
    .join("\n");
}

describe("records in files", () => {
  test("of a turn are in its own line of the session's log, whole or not at all wherever it was cut off", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory);
    const records = [{ key: "k", value: 1 }];
    await committed(adapter, { ...turn("s", creation, { messages: ["1"] }), records });
    const log = logOf(directory, "s");
    const before = fs.statSync(log).size;
    const lines = readFileSync(log, "utf8").split("\n").length;
    const later = [
      { key: "k", value: null },
      { key: "n", value: 2 },
    ];
    await committed(adapter, { ...turn("s", next, { messages: ["2"] }), records: later });
    expect(readFileSync(log, "utf8").split("\n")).toHaveLength(lines + 1);
    const bytes = readFileSync(log);
    for (let size = before; size <= bytes.length; size++) {
      writeFileSync(log, bytes.subarray(0, size));
      const fresh = newAdapter(directory);
      const loaded = await fresh.turns.load("s", { last: 9 });
      const found = await fresh.records.list(scope, { limit: 9 });
      const isWhole = size === bytes.length;
      expect(loaded?.row.last).toBe(isWhole ? 2 : 1);
      expect(found.map(({ key, value }) => [key, value])).toEqual([isWhole ? ["n", 2] : ["k", 1]]);
    }
  });

  test("are taken over by a new log, with what is left of those that were removed", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory);
    await committed(adapter, turn("s", creation));
    const [first] = [logOf(directory, "s")];
    const filler = "x".repeat(60_000);
    for (const n of numbers(1, 40)) {
      const records = [
        { key: `k${n % 5}`, value: { n, filler } },
        { key: "gone", value: n === 1 ? 1 : null },
      ];
      await committed(adapter, { ...turn("s", next, { messages: [`${n}`] }), records });
    }
    expect(logOf(directory, "s")).not.toBe(first);
    const fresh = newAdapter(directory);
    const found = await fresh.records.list(scope, { limit: 9 });
    expect(found.map(({ key, value }) => [key, Reflect.get(Object(value), "n")])).toEqual([
      ["k0", 40],
      ["k1", 36],
      ["k2", 37],
      ["k3", 38],
      ["k4", 39],
    ]);
    await fresh.records.apply([{ ...record(scope, "gone", "late"), stamp: "0000000000000002" }]);
    expect(await newAdapter(directory).records.get(scope, "gone")).toBeNull();
    expect(await fresh.records.scopes({ limit: 9 })).toEqual([scope]);
  });

  test("of users and the application have a folder each, which no scope leads out of", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory);
    const scopes = [
      "..",
      "../../x",
      "/etc",
      "A",
      "a",
      "é",
      "e\u0301",
      "con",
      " ",
      "x".repeat(128),
      "é".repeat(64),
    ]
      .map(userScope)
      .concat(applicationScope, "x".repeat(256), "X".repeat(256));
    expect(new Set(scopes.map(scopeFolderName)).size).toBe(scopes.length);
    for (const one of scopes) {
      expect(scopeFolderName(one)).toMatch(/^[a-z0-9_=-]{3,207}$/);
      expect(isScopeFolder(scopeFolderName(one))).toBe(true);
      expect(isScopeFolder(folderName(one))).toBe(false);
      await adapter.records.put(record(one, "k", one), null);
    }
    expect(readdirSync(directory).toSorted()).toEqual(scopes.map(scopeFolderName).toSorted());
    const fresh = newAdapter(directory);
    for (const one of scopes) expect((await fresh.records.get(one, "k"))?.value).toBe(one);
    expect(new Set(await fresh.records.scopes({ limit: 100 }))).toEqual(new Set(scopes));
    expect((await fresh.sessionRepository.find({}, { limit: 9 })).items).toEqual([]);
    for (const one of scopes) expect(await fresh.records.deleteScope(one)).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("of a user survive a line that was cut off, and name the file that is damaged", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory);
    const ann = userScope("ann");
    const folder = join(directory, scopeFolderName(ann));
    await adapter.records.put(record(ann, "a"), null);
    await adapter.records.put(record(ann, "b"), null);
    const [name = ""] = readdirSync(folder);
    const log = join(folder, name);
    writeFileSync(log, readFileSync(log).subarray(0, -3));
    const fresh = newAdapter(directory);
    expect(await fresh.records.get(ann, "b")).toBeNull();
    expect(await fresh.records.put(record(ann, "c"), null)).toBe(true);
    const found = await newAdapter(directory).records.list(ann, { limit: 9 });
    expect(found.map(({ key }) => key)).toEqual(["a", "c"]);
    writeFileSync(log, readFileSync(log, "utf8").replace('"a"', '"x"'));
    const error = await newAdapter(directory)
      .records.get(ann, "a")
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "STORAGE_DAMAGED", operation: "get", sessionId: undefined });
  });

  test("leave the disk with their scope", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory);
    await committed(adapter, turn("s", creation, { messages: ["stays"] }));
    const secret = "a secret value";
    await adapter.records.apply([record(scope, "k", secret)]);
    await adapter.records.apply([record(sessionScope("s", "other life"), "k", secret)]);
    await adapter.records.put(record(userScope("ann"), "k", secret), null);
    expect(bytesIn(directory)).toContain(secret);
    expect(await adapter.records.deleteScope(scope)).toBe(1);
    expect(await adapter.records.deleteScope(sessionScope("s", "other life"))).toBe(1);
    expect(await adapter.records.deleteScope(userScope("ann"))).toBe(1);
    expect(bytesIn(directory)).not.toContain(secret);
    expect((await newAdapter(directory).turns.load("s", { last: 1 }))?.entries[0]?.content).toBe("stays");
  });

  test("that came late to a session without a row go without a trace", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory);
    await adapter.records.apply([record(scope, "k")]);
    expect(fs.existsSync(folderOf(directory, "s"))).toBe(true);
    expect(await adapter.records.deleteScope(scope)).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
  });
});
