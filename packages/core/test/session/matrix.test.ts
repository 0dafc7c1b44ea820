import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";

const script = fileURLToPath(new URL("children/matrix.mjs", import.meta.url));
jest.setTimeout(60_000);

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "waymark-matrix-"));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

/** How many messages the model was shown for each text, in a process of its own. */
function say(options: { sessionId?: string; directory?: string }, ...texts: string[]): number[] {
  const output = execFileSync(process.execPath, [script, JSON.stringify({ ...options, texts })], {
    env: { ...process.env, WAYMARK_HOME: home },
    encoding: "utf8",
  });
  const shown: number[] = JSON.parse(output);
  return shown;
}

const filesIn = (folder: string) => (existsSync(folder) ? readdirSync(folder).length : 0);

// With each message and answer the next one is shown two more: 1, 3, 5. A new process that remembers goes on counting.
describe("where a conversation lives, from process to process", () => {
  it("an id and no adapter: in files, and the next process goes on", () => {
    expect(say({ sessionId: "a" }, "one", "two")).toEqual([1, 3]);
    expect(say({ sessionId: "a" }, "three")).toEqual([5]);
    expect(say({ sessionId: "b" }, "one")).toEqual([1]);
    expect(filesIn(join(home, "sessions"))).toBe(2);
  });

  it("an id and an adapter: in the adapter's store, and nowhere else", () => {
    const directory = join(home, "own");
    expect(say({ sessionId: "a", directory }, "one", "two")).toEqual([1, 3]);
    expect(say({ sessionId: "a", directory }, "three")).toEqual([5]);
    expect(filesIn(join(home, "sessions"))).toBe(0);
    expect(filesIn(directory)).toBe(1);
  });

  it.each([false, true])(
    "no id: in the agent, and the next process knows nothing (adapter: %s)",
    (hasAdapter) => {
      const directory = join(home, "own");
      const options = hasAdapter ? { directory } : {};
      expect(say(options, "one", "two")).toEqual([1, 3]);
      expect(say(options, "three")).toEqual([1]);
      expect(filesIn(join(home, "sessions"))).toBe(0);
      expect(filesIn(directory)).toBe(0);
    },
  );
});
