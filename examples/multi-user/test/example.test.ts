import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";

jest.setTimeout(60_000);

const main = fileURLToPath(new URL("../main.mjs", import.meta.url));
const run = promisify(execFile);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waymark-users-test-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The text of all files, with their names. */
const left = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => `${file}\n${readFileSync(file, "utf8")}`)
    .join("\n");

describe("the program", () => {
  it("keeps users apart, and lists all that one has", async () => {
    const { stdout } = await run(process.execPath, [main, folder]);
    const outcomes = [...stdout.matchAll(/^ {3}(\S.{19}) (\S.*)$/gm)].map(([, what = "", how]) => [
      what.trim(),
      how,
    ]);
    expect(Object.fromEntries(outcomes)).toMatchObject({
      "read its messages": "0",
      "read its state": "a new one",
      "look it up": "null",
      "say something": "SESSION_EXISTS",
      "add a message": "SESSION_EXISTS",
      "change its metadata": "SESSION_EXISTS",
      "export it": "SESSION_NOT_FOUND",
      "remove its messages": "0",
      "delete it": "false",
    });
    expect(stdout).toContain("Grace's session has what Grace said: Mine is a secret.");
    const pages = [...stdout.matchAll(/^ {3}(ada-.*)$/gm)].map(([, page = ""]) => page.split(", "));
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat().toSorted()).toEqual(
      ["five", "four", "one", "three", "two"].map((name) => `ada-${name} (2 messages)`),
    );
  });

  it("erases one user down to the files, and leaves the other as she was", async () => {
    const { stdout } = await run(process.execPath, [main, folder]);
    expect(stdout).toContain("5 sessions with 10 messages were removed");
    expect(stdout).toMatch(/Ada has 0 sessions,\n +Grace has 1\./);
    expect(left()).not.toMatch(/My case|ada-/);
    expect(left()).toContain("Mine is a secret.");
  });

  it("removes its folder, where it was given none", async () => {
    await run(process.execPath, [main], { env: { ...process.env, TMPDIR: folder, TEMP: folder } });
    expect(readdirSync(folder)).toEqual([]);
  });
});
