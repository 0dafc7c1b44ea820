import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";

const main = fileURLToPath(new URL("../main.mjs", import.meta.url));
const run = promisify(execFile);
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "waymark-chat-test-"));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

/** Runs the built package, as a user does. */
const play = (...args: string[]) =>
  run(process.execPath, [main, ...args], { env: { ...process.env, WAYMARK_HOME: home } });

describe("the chat example without a terminal", () => {
  it("loses nothing when its process is killed, wherever that happens, and leaves nothing behind", async () => {
    const { stdout } = await play("--runs", "4");
    expect(stdout.match(/SIGKILL, /g)).toHaveLength(4);
    expect(stdout.match(/^ +ok /gm)).toHaveLength(4 * 7);
    expect(stdout).not.toContain("WRONG");
    expect(stdout).toContain("what is piped in is not read");
    const left = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(left.map(({ name }) => name)).toEqual([]);
  }, 60_000);

  it("ends with an error when it cannot keep its sessions", async () => {
    const file = fileURLToPath(import.meta.url);
    const failed = run(process.execPath, [main], { env: { ...process.env, WAYMARK_HOME: file } });
    await expect(failed).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("STORAGE_") });
  }, 60_000);
});

describe("the offline model of the example", () => {
  it("books, corrects and refuses, from free text", async () => {
    const { bookingAgent } = await import("../agent.mjs");
    const session = bookingAgent().session();
    const say = async (text: string) => (await session.chat(text)).message;
    const known = async () => (await session.state()).data;
    await say("Hi, a table for twelve on Saturday please");
    expect(await known()).toEqual({ guests: 12, day: "Saturday" });
    expect(await say("No, 5 people")).toBe("Saturday, fine. At what time?");
    expect(await say("at 3")).toContain("we are open from 17:00");
    expect(await say("7:30 pm then. My name is Grace Hopper")).toContain("e-mail");
    expect(await say("and make it 6 people, grace@example.org")).toContain("the table is yours");
    expect(await known()).toEqual({
      guests: 6,
      day: "Saturday",
      time: "19:30",
      name: "Grace Hopper",
      email: "grace@example.org",
    });
    expect(await say("Thanks")).toContain("See you then");
  });
});
