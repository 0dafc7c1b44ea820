import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setImmediate as breathe } from "node:timers/promises";
import { describe, expect, jest, test } from "@jest/globals";
import {
  type Worker,
  committed,
  commit,
  creation,
  folderOf,
  newAdapter,
  numbers,
  startWorker,
  temporaryFolder,
  turn,
  unique,
} from "./support.js";

// Other processes take their time to start.
jest.setTimeout(60_000);

const next = { kind: "append" } as const;

/** What the workers of `turns.mjs` must have left: turns that build on each other, each with two messages. */
async function turnsOf(directory: string): Promise<number> {
  const adapter = newAdapter(directory);
  const row = await adapter.sessionRepository.findById("s");
  if (row === null) return 0;
  const turns = row.last / 2;
  expect(row.state).toEqual({ n: turns });
  for (let from = 1; from <= row.last; from += 1_000) {
    const to = Math.min(row.last, from + 999);
    const entries = await adapter.messageRepository.findBySessionId("s", { log: row.life, from, to });
    const expected = numbers(from, to).map(
      (sequence) => `${Math.ceil(sequence / 2)}${sequence % 2 === 1 ? "a" : "b"}`,
    );
    expect(entries.map(({ content }) => content)).toEqual(expected);
  }
  return turns;
}

function numberOf(received: unknown): number {
  if (typeof received === "object" && received !== null && "n" in received && typeof received.n === "number")
    return received.n;
  throw new Error(`the worker failed: ${JSON.stringify(received)}`);
}

function statusOf(received: unknown): unknown {
  return typeof received === "object" && received !== null && "status" in received
    ? received.status
    : received;
}

describe("several processes on one session", () => {
  test("eight of them lose no turn, and none waits in vain", async () => {
    const directory = temporaryFolder();
    const workers = numbers(1, 8).map((name) =>
      startWorker("turns.mjs", { directory, id: "s", name, count: 25, bytes: 3_000 }),
    );
    await Promise.all(workers.map(({ ended }) => ended));
    for (const { messages } of workers) expect(messages.at(-1)).toEqual({ done: true });
    expect(await turnsOf(directory)).toBe(200);
  });

  test("killed at any instant, leave every acknowledged turn and no half of another", async () => {
    const directory = temporaryFolder();
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < 15; round++) {
      const worker = startWorker("turns.mjs", { directory, id: "s", name: round, bytes: 12_000 });
      let acknowledged = 0;
      for (let turns = 1 + Math.floor(Math.random() * 12); turns > 0; turns--)
        acknowledged = numberOf(await worker.next());
      // The instant must not be tied to what the worker sends: its messages are read only after it was killed.
      Atomics.wait(clock, 0, 0, Math.random() * 30);
      worker.process.kill("SIGKILL");
      await worker.ended;
      for (const received of worker.messages) acknowledged = Math.max(acknowledged, numberOf(received));
      expect(await turnsOf(directory)).toBeGreaterThanOrEqual(acknowledged);
    }
  });

  test("with a full disk report it, keep what they had, and go on when there is room", async () => {
    const directory = temporaryFolder();
    const worker = startWorker(
      "turns.mjs",
      { directory, id: "s", name: "w", bytes: 5_000 },
      { fileBlocks: 100 },
    );
    await worker.ended;
    expect(worker.messages.at(-1)).toMatchObject({ code: "STORAGE_FULL", retryable: true });
    const before = await turnsOf(directory);
    expect(before).toBe(worker.messages.length - 1);
    expect(before).toBeGreaterThan(1);
    const after = startWorker("turns.mjs", { directory, id: "s", name: "v", count: 3 });
    await after.ended;
    expect(await turnsOf(directory)).toBe(before + 3);
  });
});

describe("a lock", () => {
  test("of a process that died is taken over at once", async () => {
    const directory = temporaryFolder();
    await committed(newAdapter(directory), turn("s", creation));
    const worker = startWorker("dead.mjs", { directory, commit: turn("s", next) });
    await worker.ended;
    expect(existsSync(`${folderOf(directory, "s")}.lock`)).toBe(true);
    // Patience alone would never get it.
    await committed(newAdapter(directory, 1e9), turn("s", next));
    expect(existsSync(`${folderOf(directory, "s")}.lock`)).toBe(false);
  });

  test("of a process that lives is not broken: STORAGE_LOCKED, and nothing is written", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory, 90);
    await committed(adapter, turn("s", creation));
    const lock = `${folderOf(directory, "s")}.lock`;
    writeFileSync(
      lock,
      JSON.stringify({ pid: process.pid, host: `not ${hostname()}`, start: null, token: "t" }),
    );
    const before = await adapter.sessionRepository.findById("s");
    expect(await commit(adapter, turn("s", next))).toMatchObject({
      status: "failed",
      error: { code: "STORAGE_LOCKED", retryable: true, sessionId: "s" },
    });
    await expect(adapter.sessionRepository.delete("s", "r")).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
    });
    expect(await adapter.sessionRepository.findById("s")).toEqual(before);
    expect(readFileSync(lock, "utf8")).toContain("not ");
  });

  test("of a process that shows no life is taken over in the end", async () => {
    const directory = temporaryFolder();
    const adapter = newAdapter(directory, 400);
    await committed(adapter, turn("s", creation));
    writeFileSync(`${folderOf(directory, "s")}.lock`, "");
    await committed(adapter, turn("s", next));
  });

  async function untilStopped({ process: child }: Worker): Promise<void> {
    for (;;) {
      const status = readFileSync(`/proc/${child.pid}/stat`, "latin1");
      if (status.slice(status.lastIndexOf(")") + 2).startsWith("T")) return;
      if (child.exitCode !== null) throw new Error("the worker ended");
      await breathe();
    }
  }

  const long = "x".repeat(300_000);
  const stops = [
    ["writeSync", "log$"],
    ["fstatSync", "log$"],
    ["fdatasync", "log$"],
    ["writeSync", "messages$"],
    ["writeSync", "prep$"],
    ["renameSync", "prep$"],
    ["unlinkSync", "log$"],
    ["unlinkSync", "lock$"],
  ] as const;

  (process.platform === "linux" ? test : test.skip).each(stops)(
    "of a process that was paused at %s of %s: what it does when it wakes up is void, or counts, and it knows which",
    async (at, file) => {
      const directory = temporaryFolder();
      const adapter = newAdapter(directory, 300);
      const { version } = await committed(adapter, turn("s", creation, { state: { by: "nobody" } }));
      // The log is long: the next write moves it.
      for (const n of [1, 2]) await committed(adapter, turn("s", next, { messages: [`${n}${long}`] }));
      const late = turn("s", { kind: "version", version }, { state: { by: "late" }, messages: ["late"] });
      const worker = startWorker("paused.mjs", {
        directory,
        id: "s",
        at,
        file,
        commit: { ...late, revision: unique() },
      });
      expect(await worker.next()).toBe("ready");
      worker.process.send("go");
      await untilStopped(worker);
      const mine = await commit(
        adapter,
        turn("s", { kind: "version", version }, { state: { by: "mine" }, messages: ["mine"] }),
      );
      const more: string[] = [];
      for (const n of [1, 2, 3]) {
        const text = `more ${n}`;
        more.push(text);
        await committed(adapter, turn("s", next, { messages: [n === 2 ? `${text}${long}${long}` : text] }));
      }
      worker.process.kill("SIGCONT");
      const outcome = await worker.next();
      await worker.ended;
      const winner = mine.status === "committed" ? "mine" : "late";
      expect(mine).toMatchObject({ status: winner === "mine" ? "committed" : "conflict" });
      // Paused between its write and the look at it, it finds that it had won.
      expect(winner === "mine" ? ["conflict"] : ["committed", "replayed"]).toContain(statusOf(outcome));
      await committed(adapter, turn("s", next, { messages: ["last"] }));
      for (const reader of [adapter, newAdapter(directory)]) {
        const loaded = await reader.turns.load("s", { last: 100 });
        expect(loaded?.row.state).toEqual({ by: winner });
        const texts = loaded?.entries.map(({ content }) => content.replaceAll("x", ""));
        expect(texts).toEqual(["1", "2", winner, ...more, "last"]);
      }
    },
  );

  (process.platform === "linux" ? test : test.skip).each([
    ["writeSync", "log$"],
    ["fdatasync", "log$"],
    ["renameSync", "prep$"],
    ["unlinkSync", "log$"],
    ["rmdirSync", "s-s$"],
  ] as const)(
    "of a process that was paused at %s of %s in a delete: it does not touch the session that came after",
    async (at, file) => {
      const directory = temporaryFolder();
      const adapter = newAdapter(directory, 300);
      await committed(adapter, turn("s", creation, { messages: ["old"] }));
      const worker = startWorker("paused.mjs", { directory, id: "s", at, file });
      expect(await worker.next()).toBe("ready");
      worker.process.send("go");
      await untilStopped(worker);
      await adapter.messageRepository.deleteBySessionId("s", { log: "life" });
      const old = await adapter.sessionRepository.findById("s");
      if (old !== null) expect(await adapter.sessionRepository.delete("s", old.revision)).toBe(true);
      const created = { kind: "create", life: "second", createdAt: 1 } as const;
      await committed(adapter, turn("s", created, { state: { n: 1 }, messages: ["new"] }));
      worker.process.kill("SIGCONT");
      expect(await worker.next()).toEqual({ removed: old === null });
      await worker.ended;
      await committed(adapter, turn("s", next, { messages: ["more"] }));
      for (const reader of [adapter, newAdapter(directory)]) {
        const loaded = await reader.turns.load("s", { last: 100 });
        expect(loaded?.row).toMatchObject({ life: "second", state: { n: 1 } });
        expect(loaded?.entries.map(({ content }) => content)).toEqual(["new", "more"]);
        expect(await reader.messageRepository.findBySessionId("s", { log: "life", from: 1, to: 9 })).toEqual(
          [],
        );
      }
    },
  );
});
