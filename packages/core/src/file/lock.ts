import fs from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../errors.js";
import { codeOf, forCreating, removeFile, unlessMissing, withFileSync } from "./disk.js";
import type { Doing } from "./failure.js";
import { uniqueName } from "./names.js";

// A lock is a file that only one process can create. It keeps writers out of each other's way, so that no one's work is in
// vain; that nothing is lost when two believe to hold it is the matter of the log (log.ts).

/** Who holds a lock, as its file says. */
interface Owner {
  readonly pid: number;
  /** Name of the host and number of its process namespace: only there does the pid mean anything. */
  readonly host: string;
  /** When the process started, as the system says it; null where it does not. A pid alone is given again. */
  readonly start: string | null;
  readonly token: string;
}

const host = `${hostname()} ${unlessUnknown(() => fs.readlinkSync("/proc/self/ns/pid")) ?? ""}`.trim();
const start = statusOf(process.pid)?.start ?? null;

/** The owner as JSON, all but the last part of the token, which counts. */
const ownerText = JSON.stringify({
  pid: process.pid,
  host,
  start,
  token: `${uniqueName()}.`,
} satisfies Owner).slice(0, -2);
let locksTaken = 0;

/** A holder that lives and does not let go is taken over after half of the waiter's patience, within these bounds. */
const shortestHoldMs = 100;
const longestHoldMs = 2_000;

export interface LockOptions {
  readonly timeoutMs: number;
  /** When this process last saw the lock free; the wait counts from there. Milliseconds of `performance.now()`. */
  readonly since: number;
}

/**
 * Takes a lock; resolves to the function that gives it back.
 * @throws `STORAGE_LOCKED` when it was not free for `timeoutMs`.
 */
export async function takeLock(path: string, options: LockOptions, doing: Doing): Promise<() => void> {
  const text = `${ownerText}${++locksTaken}"}`;
  if (!tryLock(path, text)) await waitForLock(path, text, options, doing);
  const takenAt = performance.now();
  return () => {
    // Nobody takes a lock over so early; later, it may be another one's.
    if (performance.now() - takenAt < shortestHoldMs / 2 || readLock(path) === text) removeFile(path);
  };
}

async function waitForLock(
  path: string,
  text: string,
  { timeoutMs, since }: LockOptions,
  doing: Doing,
): Promise<void> {
  // Who waits for less than the shortest hold takes nothing over, however late its timers come.
  const patienceMs =
    timeoutMs < shortestHoldMs ? Infinity : Math.max(shortestHoldMs, Math.min(longestHoldMs, timeoutMs / 2));
  let seen: string | null = null;
  let seenAt = 0;
  for (let attempt = 1; ; attempt++) {
    const holder = readLock(path);
    const now = performance.now();
    if (holder !== seen) {
      seen = holder;
      seenAt = now;
    }
    if (holder !== null && (isDead(holder) || now - seenAt >= patienceMs)) evict(path, holder);
    if (tryLock(path, text)) return;
    if (now - since >= timeoutMs) {
      throw new StorageError(
        "STORAGE_LOCKED",
        `${doing.operation}: another process held the session for ${timeoutMs} ms; nothing was written`,
        doing,
      );
    }
    // Random, so that many who wait all come through; short, since a lock is held for about one write to the disk.
    await sleep(1 + Math.random() * Math.min(8, attempt));
  }
}

function tryLock(path: string, text: string): boolean {
  try {
    withFileSync(path, forCreating, (file) => fs.writeSync(file, text));
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    // The file may have been made and not written: an empty lock would keep everybody waiting.
    if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT" || codeOf(error) === "EFBIG")
      removeFile(path);
    throw error;
  }
}

function readLock(path: string): string | null {
  return unlessMissing(() => fs.readFileSync(path, "utf8"));
}

/** Moved away first: only then is it certain whose it was. One that was taken in this very moment is given up with it. */
function evict(path: string, holder: string): void {
  const aside = `${path}.${uniqueName()}`;
  if (readLock(path) !== holder || unlessMissing(() => fs.renameSync(path, aside)) === null) return;
  removeFile(aside);
}

function isDead(text: string): boolean {
  const owner = parseOwner(text);
  if (owner === null || owner.host !== host) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
  const status = statusOf(owner.pid);
  return status !== null && (status.ended || (owner.start !== null && status.start !== owner.start));
}

function parseOwner(text: string): Owner | null {
  try {
    const value: unknown = JSON.parse(text);
    return isOwner(value) ? value : null;
  } catch {
    return null;
  }
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === "object" &&
    value !== null &&
    "pid" in value &&
    typeof value.pid === "number" &&
    "host" in value &&
    typeof value.host === "string" &&
    "start" in value &&
    (value.start === null || typeof value.start === "string") &&
    "token" in value &&
    typeof value.token === "string"
  );
}

/** What Linux tells of a process: whether it has ended and waits to be buried, and when it began, in ticks. */
function statusOf(pid: number): { readonly ended: boolean; readonly start: string | null } | null {
  const status = unlessUnknown(() => fs.readFileSync(`/proc/${pid}/stat`, "latin1"));
  if (status === null) return null;
  // The name before may have spaces and brackets of its own.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return { ended: fields[0] === "Z" || fields[0] === "X", start: fields[19] ?? null };
}

function unlessUnknown<T>(call: () => T): T | null {
  try {
    return call();
  } catch {
    return null;
  }
}
