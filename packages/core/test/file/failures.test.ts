import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { FileAdapter } from "../../src/file/index.js";
import { FileAdapter as Unsupported } from "../../src/file/unsupported.js";
import {
  commit,
  committed,
  creation,
  folderOf,
  logOf,
  newAdapter,
  row,
  temporaryFolder,
  turn,
} from "./support.js";

describe("a folder that cannot be used", () => {
  test("is named, with what to do", async () => {
    const directory = join(temporaryFolder(), "file");
    writeFileSync(directory, "");
    const adapter = newAdapter(directory);
    const failing = { code: "STORAGE_FAILED", retryable: false, message: expect.stringContaining(directory) };
    await expect(adapter.initialize()).rejects.toMatchObject({ ...failing, operation: "initialize" });
    await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({
      ...failing,
      operation: "findById",
      sessionId: "s",
    });
    await expect(adapter.sessionRepository.find({}, { limit: 1 })).rejects.toMatchObject({
      ...failing,
      operation: "find",
    });
    await expect(newAdapter(join(directory, "below")).initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      cause: { code: "ENOTDIR" },
    });
  });

  test("that is gone while it is used, is not taken for an empty one", async () => {
    const adapter = newAdapter();
    await committed(adapter, turn("s", creation));
    const aside = join(temporaryFolder(), "aside");
    renameSync(adapter.directory, aside);
    await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(await commit(adapter, turn("s", creation))).toMatchObject({
      status: "failed",
      error: { code: "STORAGE_FAILED" },
    });
    await expect(adapter.sessionRepository.create(row("t"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    await expect(adapter.sessionRepository.find({}, { limit: 1 })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    renameSync(aside, adapter.directory);
    expect((await adapter.sessionRepository.findById("s"))?.id).toBe("s");
  });
});

describe("a link planted in the folder", () => {
  test("in place of a session leads nowhere", async () => {
    const directory = temporaryFolder();
    const outside = temporaryFolder();
    symlinkSync(outside, folderOf(directory, "s"));
    const adapter = newAdapter(directory);
    await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    expect(await commit(adapter, turn("s", creation))).toMatchObject({
      status: "failed",
      error: { code: "STORAGE_FAILED" },
    });
  });

  test("in place of a log or a lock is not followed", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory, 100);
    await committed(adapter, turn("s", creation));
    const log = logOf(directory, "s");
    const outside = join(temporaryFolder(), "log");
    renameSync(log, outside);
    symlinkSync(outside, log);
    await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      cause: { code: "ELOOP" },
    });
    expect(await commit(adapter, turn("s", { kind: "append" }))).toMatchObject({ status: "failed" });
    const target = join(temporaryFolder(), "target");
    symlinkSync(target, `${folderOf(directory, "t")}.lock`);
    const outcome = await commit(adapter, turn("t", creation));
    expect(["failed", "committed"]).toContain(outcome.status);
    expect(() => rmSync(target)).toThrow("ENOENT");
  });
});

describe("what else is in the folder", () => {
  test("is left alone", async () => {
    const adapter = newAdapter();
    mkdirSync(join(adapter.directory, "notes"));
    writeFileSync(join(adapter.directory, "s-file"), "");
    writeFileSync(join(adapter.directory, "README"), "");
    await committed(adapter, turn("s", creation));
    expect((await adapter.sessionRepository.find({}, { limit: 10 })).items.map(({ id }) => id)).toEqual([
      "s",
    ]);
    expect(await adapter.findDamaged()).toEqual([]);
  });
});

describe("the adapter", () => {
  const home = process.env["WAYMARK_HOME"];
  afterEach(() => {
    if (home === undefined) delete process.env["WAYMARK_HOME"];
    else process.env["WAYMARK_HOME"] = home;
  });

  test("keeps sessions in the user's home, or where WAYMARK_HOME says", () => {
    delete process.env["WAYMARK_HOME"];
    expect(new FileAdapter().directory).toBe(join(homedir(), ".waymark", "sessions"));
    process.env["WAYMARK_HOME"] = "/elsewhere";
    expect(new FileAdapter().directory).toBe(join("/elsewhere", "sessions"));
    expect(new FileAdapter({ directory: "/given" }).directory).toBe("/given");
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    "refuses a lock timeout of %d",
    (lockTimeoutMs) => {
      expect(() => new FileAdapter({ directory: "/given", lockTimeoutMs })).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    },
  );

  test("describes itself, and refuses calls after disconnect until initialize", async () => {
    const adapter = newAdapter();
    expect(await adapter.describe()).toEqual({
      server: `files in ${adapter.directory}`,
      schemaVersion: 1,
      writable: true,
    });
    const writing = commit(adapter, turn("s", creation));
    await adapter.disconnect();
    expect(await writing).toMatchObject({ status: "committed" });
    await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({ code: "CLOSED" });
    expect(await commit(adapter, turn("s", { kind: "append" }))).toMatchObject({
      status: "failed",
      error: { code: "CLOSED" },
    });
    await adapter.initialize();
    await adapter.initialize();
    expect((await adapter.sessionRepository.findById("s"))?.id).toBe("s");
  });

  test("says what to do where there is no Node", () => {
    expect(() => new Unsupported()).toThrow(expect.objectContaining({ code: "CAPABILITY_MISSING" }));
  });
});
