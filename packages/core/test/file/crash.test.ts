import fs from "node:fs";
import { cpSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterEach, describe, expect, jest, test } from "@jest/globals";
import { encodeFrame } from "../../src/file/frame.js";
import {
  commit,
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
  unique,
} from "./support.js";

afterEach(() => {
  jest.restoreAllMocks();
});

const next = { kind: "append" } as const;

/** A store with `count` turns in the session "s"; `sizes` are the log's after each. */
async function withTurns(count: number, content = "m"): Promise<{ directory: string; sizes: number[] }> {
  const adapter = newAdapter();
  await committed(adapter, turn("s", creation, { state: { n: 0 } }));
  const sizes = [fs.statSync(logOf(adapter.directory, "s")).size];
  for (const n of numbers(1, count)) {
    await committed(adapter, turn("s", next, { state: { n }, messages: [`${n} ${content}`] }));
    sizes.push(fs.statSync(logOf(adapter.directory, "s")).size);
  }
  return { directory: adapter.directory, sizes };
}

/** What a new process reads, checked to be of one turn. */
async function turnsIn(directory: string): Promise<number> {
  const loaded = await newAdapter(directory).turns.load("s", { last: 1_000 });
  if (loaded === null) throw new Error("the session is not there");
  const { row, entries } = loaded;
  expect(entries.map(({ content }) => Number.parseInt(content, 10))).toEqual(numbers(1, row.last));
  expect(row.state).toEqual({ n: row.last });
  return row.last;
}

jest.setTimeout(60_000);

describe("a record that was cut off", () => {
  test("at any byte is not there for readers, and the next turn goes on without it", async () => {
    const { directory, sizes } = await withTurns(2);
    const log = logOf(directory, "s");
    const bytes = readFileSync(log);
    const [, before = 0, end = 0] = sizes;
    for (let size = before; size <= end; size++) {
      writeFileSync(log, bytes.subarray(0, size));
      const whole = size === end ? 2 : 1;
      expect(await turnsIn(directory)).toBe(whole);
      const state = { n: whole + 1 };
      await committed(newAdapter(directory), turn("s", next, { state, messages: [`${whole + 1}`] }));
      expect(await turnsIn(directory)).toBe(whole + 1);
      expect((await newAdapter(directory).sessionRepository.find({}, { limit: 1 })).items[0]?.state).toEqual(
        state,
      );
    }
  });

  test("and filled with zeros by a loss of power, is not there either", async () => {
    const { directory, sizes } = await withTurns(2);
    const log = logOf(directory, "s");
    truncateSync(log, (sizes[1] ?? 0) + 50);
    truncateSync(log, (sizes[2] ?? 0) + 5_000);
    expect(await turnsIn(directory)).toBe(1);
    await committed(newAdapter(directory), turn("s", next, { state: { n: 2 }, messages: ["2"] }));
    expect(await turnsIn(directory)).toBe(2);
  });
});

describe("a record of a writer that woke up too late", () => {
  test("is void, also when it is the only one that fits to its past", async () => {
    const { directory, sizes } = await withTurns(3);
    const log = logOf(directory, "s");
    const bytes = readFileSync(log);
    const [, first = 0, second = 0] = sizes;
    // The second record again, at the end: as if its writer had not seen the third.
    fs.appendFileSync(log, bytes.subarray(first, second));
    expect(await turnsIn(directory)).toBe(3);
    fs.appendFileSync(log, encodeFrame(second, second, JSON.stringify({ row: null })));
    expect(await turnsIn(directory)).toBe(3);
    await committed(newAdapter(directory), turn("s", next, { state: { n: 4 }, messages: ["4"] }));
    expect(await turnsIn(directory)).toBe(4);
  });

  test("does not reach a log that was closed meanwhile", async () => {
    const { directory } = await withTurns(3);
    const log = logOf(directory, "s");
    const late = newAdapter(directory);
    await late.turns.load("s", { last: 1 });
    const other = newAdapter(directory);
    for (const n of numbers(4, 9)) {
      await committed(other, turn("s", next, { state: { n }, messages: [`${n} ${"x".repeat(200_000)}`] }));
    }
    expect(logOf(directory, "s")).not.toBe(log);
    await committed(late, turn("s", next, { state: { n: 10 }, messages: ["10"] }));
    expect(await turnsIn(directory)).toBe(10);
  });
});

describe("a damaged file", () => {
  test("refuses its session, byte for byte, and stays as it is; others go on", async () => {
    const { directory, sizes } = await withTurns(3);
    await committed(newAdapter(directory), turn("t", creation));
    const log = logOf(directory, "s");
    const bytes = readFileSync(log);
    for (let at = 0; at < (sizes[2] ?? 0); at += 7) {
      const wrong = Buffer.from(bytes);
      wrong[at] = (wrong[at] ?? 0) ^ 1;
      writeFileSync(log, wrong);
      const adapter = newAdapter(directory);
      const failing = { code: "STORAGE_DAMAGED", sessionId: "s", retryable: false };
      await expect(adapter.turns.load("s", { last: 1 })).rejects.toMatchObject(failing);
      await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject(failing);
      await expect(adapter.sessionRepository.create(row("s"))).rejects.toMatchObject(failing);
      expect(await commit(adapter, turn("s", next))).toMatchObject({ status: "failed", error: failing });
      expect(readFileSync(log).equals(wrong)).toBe(true);
      await committed(adapter, turn("t", next));
    }
    const adapter = newAdapter(directory);
    expect(await adapter.findDamaged()).toMatchObject([
      { sessionId: "s", error: { code: "STORAGE_DAMAGED" } },
    ]);
    const page = await adapter.sessionRepository.find({}, { limit: 10 });
    expect(page.items.map(({ id }) => id)).toContain("t");
    renameSync(folderOf(directory, "s"), join(directory, "aside"));
    expect(await adapter.sessionRepository.create(row("s"))).toBe(true);
  });

  test("of archived messages is reported when they are read", async () => {
    const { directory } = await withTurns(6, "x".repeat(200_000));
    const [archive = ""] = filesOf(directory, "s", ".messages");
    const bytes = readFileSync(archive);
    bytes[60_000] = (bytes[60_000] ?? 0) ^ 1;
    writeFileSync(archive, bytes);
    const { messageRepository: messages } = newAdapter(directory);
    await expect(messages.findBySessionId("s", { log: "life", from: 1, to: 1 })).rejects.toMatchObject({
      code: "STORAGE_DAMAGED",
    });
    expect(await messages.findBySessionId("s", { log: "life", from: 6, to: 6 })).toHaveLength(1);
  });

  test("in the folder of another id is not shown under it", async () => {
    const { directory } = await withTurns(1);
    cpSync(folderOf(directory, "s"), folderOf(directory, "t"), { recursive: true });
    await expect(newAdapter(directory).sessionRepository.findById("t")).rejects.toMatchObject({
      code: "STORAGE_DAMAGED",
    });
    expect(
      (await newAdapter(directory).sessionRepository.find({}, { limit: 9 })).items.map(({ id }) => id),
    ).toEqual(["s"]);
  });

  test("of a newer format says so", async () => {
    const { directory } = await withTurns(1);
    const log = logOf(directory, "s");
    writeFileSync(
      log,
      readFileSync(log, "latin1").replace("waymark-session 1", "waymark-session 2"),
      "latin1",
    );
    await expect(newAdapter(directory).sessionRepository.findById("s")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("format 2"),
    });
  });
});

/** Lets the `count`th call of the file system from now on fail, and all after it, as when the process was killed. */
function dieAt(count: number): { readonly calls: number } {
  const seen = { calls: 0 };
  const killed = (): Error | null =>
    ++seen.calls >= count ? Object.assign(new Error("killed"), { code: "EIO" }) : null;
  for (const name of [
    "openSync",
    "writeSync",
    "renameSync",
    "unlinkSync",
    "mkdirSync",
    "rmdirSync",
  ] as const) {
    const original = Reflect.get(fs, name);
    jest.spyOn(fs, name).mockImplementation((...args) => {
      const error = killed();
      if (error !== null) throw error;
      return Reflect.apply(original, fs, args);
    });
  }
  for (const name of ["fdatasync", "fsync"] as const) {
    const original = Reflect.get(fs, name);
    jest.spyOn(fs, name).mockImplementation((file, done) => {
      const error = killed();
      if (error === null) original(file, done);
      else done(error);
    });
  }
  return seen;
}

describe("a write that the disk did not take", () => {
  test("is not built upon: the next turn goes on in a new file, and knows that it was made", async () => {
    const { directory } = await withTurns(1);
    const adapter = newAdapter(directory);
    const log = logOf(directory, "s");
    const error = Object.assign(new Error("broken"), { code: "EIO" });
    jest.spyOn(fs, "fdatasync").mockImplementationOnce((_, done) => done(error));
    const one = { ...turn("s", next, { state: { n: 2 }, messages: ["2"] }), retry: { since: null } };
    expect(await commit(adapter, one)).toMatchObject({
      status: "failed",
      error: { code: "STORAGE_FAILED", cause: { code: "EIO" } },
    });
    expect(await commit(adapter, one)).toMatchObject({ status: "replayed" });
    expect(logOf(directory, "s")).not.toBe(log);
    expect(await turnsIn(directory)).toBe(2);
  });

  test("of another process is made durable before anybody answers for it", async () => {
    const { directory } = await withTurns(1);
    const one = turn("s", next, { state: { n: 2 }, messages: ["2"] });
    await committed(newAdapter(directory), one);
    const synced = jest.spyOn(fs, "fdatasync");
    const adapter = newAdapter(directory);
    expect(await commit(adapter, one)).toMatchObject({ status: "replayed" });
    expect(synced).toHaveBeenCalledTimes(1);
    expect(await commit(adapter, one)).toMatchObject({ status: "replayed" });
    expect(synced).toHaveBeenCalledTimes(1);
  });
});

describe("a process that dies", () => {
  test.each([
    ["a turn that finds the log long", 4],
    ["the first turn", 0],
  ])("at any call of the file system in %s, leaves a whole session", async (_, before) => {
    for (let count = 1, isOver = false; !isOver; count++) {
      const directory = temporaryFolder();
      const content = "x".repeat(100_000);
      const adapter = newAdapter(directory);
      if (before > 0) await committed(adapter, turn("s", creation, { state: { n: 0 } }));
      for (const n of numbers(1, before - 1)) {
        await committed(adapter, turn("s", next, { state: { n }, messages: [`${n} ${content}`] }));
      }
      const seen = dieAt(count);
      const last =
        before === 0
          ? turn("s", creation, { state: { n: 0 } })
          : turn("s", next, { state: { n: before }, messages: [`${before}`] });
      const outcome = await commit(adapter, last);
      jest.restoreAllMocks();
      isOver = seen.calls < count;
      // The dead process would have left its lock, which the next one takes over; here it is the same process.
      for (const lock of fs.readdirSync(directory).filter((name) => name.endsWith(".lock")))
        fs.unlinkSync(join(directory, lock));
      const found = await newAdapter(directory).turns.load("s", { last: 1 });
      if (found === null) expect([before, outcome.status]).toEqual([0, "failed"]);
      else if (before > 0) expect([before - 1, before]).toContain(await turnsIn(directory));
      if (outcome.status === "committed") expect(found?.row.state).toEqual({ n: before });
      const survivor = newAdapter(directory);
      const state = { n: (found?.row.last ?? -1) + 1 };
      if (found === null) await committed(survivor, turn("s", creation, { state }));
      else await committed(survivor, turn("s", next, { state, messages: [`${state.n}`] }));
      expect((await newAdapter(directory).sessionRepository.findById("s"))?.state).toEqual(state);
      if (found !== null) expect(await turnsIn(directory)).toBe(state.n);
      expect(count).toBeLessThan(100);
      if (isOver) expect(count).toBeGreaterThan(10);
    }
  });

  test("at any call in a delete leaves the session whole or gone, and the id can be used again", async () => {
    for (let count = 1, isOver = false; !isOver; count++) {
      const directory = temporaryFolder();
      const adapter = newAdapter(directory);
      const one = row("s");
      await adapter.sessionRepository.create(one);
      await adapter.messageRepository.insert([entry("s", 1)]);
      const seen = dieAt(count);
      let isAcknowledged = false;
      try {
        await adapter.messageRepository.deleteBySessionId("s", { log: "life" });
        isAcknowledged = await adapter.sessionRepository.delete("s", one.revision);
      } catch {
        // Killed.
      }
      jest.restoreAllMocks();
      isOver = seen.calls < count;
      for (const lock of fs.readdirSync(directory).filter((name) => name.endsWith(".lock")))
        fs.unlinkSync(join(directory, lock));
      const survivor = newAdapter(directory);
      const found = await survivor.sessionRepository.findById("s");
      if (isAcknowledged) expect(found).toBeNull();
      if (found === null)
        expect(await survivor.sessionRepository.create({ ...one, life: unique() })).toBe(true);
      const now = await survivor.sessionRepository.findById("s");
      await survivor.messageRepository.deleteBySessionId("s", { log: "life" });
      expect(await survivor.sessionRepository.delete("s", now?.revision ?? "")).toBe(true);
      expect(fs.readdirSync(directory).filter((name) => !name.startsWith("."))).toEqual([]);
    }
  });

  test("in a rotation may have written any part of the next log", async () => {
    const { directory } = await withTurns(6, "x".repeat(120_000));
    const before = temporaryFolder();
    cpSync(directory, before, { recursive: true });
    const old = logOf(directory, "s");
    await committed(newAdapter(directory), turn("s", next, { state: { n: 7 }, messages: ["7"] }));
    const live = logOf(directory, "s");
    expect(live).not.toBe(old);
    const prepared = readFileSync(live);
    for (let size = 0; size <= prepared.length; size += 11) {
      const path = join(folderOf(before, "s"), basename(live).replace(".log", ".prep"));
      writeFileSync(path, prepared.subarray(0, size));
      expect(await turnsIn(before)).toBe(6);
    }
    expect(dirname(live)).toBe(folderOf(directory, "s"));
  });
});
