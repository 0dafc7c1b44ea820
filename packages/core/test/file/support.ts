import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "@jest/globals";
import type { Json } from "../../src/contract/json.js";
import type { Entry, SessionRow } from "../../src/contract/row.js";
import type { Commit, Committed, Expectation, NewEntry, Outcome } from "../../src/contract/turns.js";
import { FileAdapter } from "../../src/file/index.js";
import { folderName } from "../../src/file/names.js";

const folders: string[] = [];
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "waymark-"));
  folders.push(folder);
  return folder;
}

export function newAdapter(directory = temporaryFolder(), lockTimeoutMs = 5_000): FileAdapter {
  return new FileAdapter({ directory, lockTimeoutMs });
}

let counter = 0;
export const unique = (): string => `u${++counter}`;

export function message(content: string): NewEntry {
  return { userId: null, role: "user", content, createdAt: 5, body: { content } };
}

export interface TurnOptions {
  readonly state?: Json;
  readonly messages?: readonly string[];
  readonly history?: Commit["history"];
  readonly operation?: Commit["operation"];
  readonly set?: Commit["set"];
}

export function turn(id: string, expect: Expectation, options: TurnOptions = {}): Commit {
  const { state, messages = [], history = [], operation, set = {} } = options;
  return {
    id,
    expect,
    operation: operation ?? { id: unique(), digest: "digest" },
    revision: unique(),
    at: 10,
    set: { ...set, ...(state === undefined ? {} : { state }) },
    messages: messages.map(message),
    history,
  };
}

export const creation: Expectation = { kind: "create", life: "life", createdAt: 1 };

export async function commit(adapter: FileAdapter, one: Commit): Promise<Outcome> {
  const [outcome] = await adapter.turns.commit([one]);
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

export async function committed(adapter: FileAdapter, one: Commit): Promise<Committed> {
  const outcome = await commit(adapter, one);
  if (outcome.status === "failed") throw outcome.error;
  if (outcome.status !== "committed") throw new Error(`the outcome is ${outcome.status}`);
  return outcome;
}

export function row(id: string, fields: Partial<SessionRow> = {}): SessionRow {
  return {
    id,
    life: "life",
    revision: unique(),
    version: "life.1",
    userId: null,
    agentName: null,
    status: "active",
    first: 1,
    last: 0,
    lastMessageAt: null,
    createdAt: 1,
    updatedAt: 1,
    completedAt: null,
    expiresAt: null,
    route: null,
    step: null,
    state: {},
    dirty: false,
    system: { pending: [], operations: [], count: 0 },
    ...fields,
  };
}

export function entry(sessionId: string, sequence: number, log = "life", content = `m${sequence}`): Entry {
  return { sessionId, log, sequence, userId: null, role: "user", content, createdAt: 1, body: null };
}

export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

export function folderOf(directory: string, id: string): string {
  return join(directory, folderName(id));
}

export function filesOf(directory: string, id: string, ending: string): string[] {
  const folder = folderOf(directory, id);
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

export function logOf(directory: string, id: string): string {
  const [path, ...others] = filesOf(directory, id, ".log");
  if (path === undefined || others.length > 0) throw new Error("the session has not exactly one log");
  return path;
}

export interface Worker {
  readonly process: ChildProcess;
  /** The next message of the worker; rejects when it ends without one. */
  next(): Promise<unknown>;
  /** All messages so far. */
  readonly messages: unknown[];
  readonly ended: Promise<unknown>;
}

/** Runs a script of `children/` with the built package. */
export function startWorker(
  script: string,
  input: object,
  { fileBlocks }: { fileBlocks?: number } = {},
): Worker {
  const path = fileURLToPath(new URL(`children/${script}`, import.meta.url));
  if (!existsSync(new URL("../../dist/file/index.js", import.meta.url))) {
    throw new Error("the package is not built: pnpm --filter @waymark/core build");
  }
  const args = [JSON.stringify(input)];
  const child =
    fileBlocks === undefined
      ? fork(path, args, { execArgv: [] })
      : spawn("sh", ["-c", `ulimit -f ${fileBlocks}; exec "$0" "$@"`, process.execPath, path, ...args], {
          stdio: ["inherit", "inherit", "inherit", "ipc"],
        });
  children.push(child);
  const messages: unknown[] = [];
  let read = 0;
  let wake: () => void = () => {};
  child.on("message", (received) => {
    messages.push(received);
    wake();
  });
  const ended = once(child, "exit").then((result) => {
    wake();
    return result;
  });
  return {
    process: child,
    messages,
    ended,
    async next() {
      while (read >= messages.length) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error("the worker ended");
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return messages[read++];
    },
  };
}
