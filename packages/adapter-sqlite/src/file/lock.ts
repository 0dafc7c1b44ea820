import { StorageError } from "@waymark/core/adapter";
import fs from "node:fs/promises";
import { hostname } from "node:os";
import { codeOf, unlessMissing } from "./disk.js";

/** A file beside the database that names the process which has it. */
export interface Lock {
  /** @throws `STORAGE_LOCKED` where somebody else has taken it. */
  check(): Promise<void>;
  release(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

/** Locks of this process: after a restart in a container, another one may have had its number. */
const held = new Set<string>();

/** @throws `STORAGE_LOCKED` while the owner lives, or where that cannot be told. */
export async function takeLock(path: string): Promise<Lock> {
  const name = `${path}.lock`;
  const owner: Owner = { pid: process.pid, host: hostname(), token: crypto.randomUUID() };
  for (;;) {
    if (await created(name, owner)) break;
    const other = await ownerOf(name);
    if (other === null) continue;
    if (!isOver(other)) throw locked(name, other);
    // Whoever renames it first removes it; a lock that took its place meanwhile is put back.
    const aside = `${name}.${owner.token}`;
    if ((await unlessMissing(fs.rename(name, aside).then(() => true))) === null) continue;
    const taken = await ownerOf(aside);
    if (taken !== null && taken.token !== other.token) await fs.link(aside, name).catch(() => {});
    await fs.rm(aside, { force: true });
  }
  held.add(owner.token);

  async function isMine(): Promise<boolean> {
    return (await ownerOf(name))?.token === owner.token;
  }

  return {
    async check() {
      if (!(await isMine())) throw locked(name, await ownerOf(name));
    },
    async release() {
      held.delete(owner.token);
      if (await isMine()) await fs.rm(name, { force: true });
    },
  };
}

/** By a link, so that nobody reads it half written. */
async function created(name: string, owner: Owner): Promise<boolean> {
  const own = `${name}.${owner.token}`;
  await fs.writeFile(own, JSON.stringify(owner), { flag: "wx", mode: 0o600 });
  try {
    await fs.link(own, name);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await fs.rm(own, { force: true });
  }
}

async function ownerOf(name: string): Promise<Owner | null> {
  const text = await unlessMissing(fs.readFile(name, "utf8"));
  if (text === null) return null;
  try {
    const { pid, host, token }: Partial<Owner> = JSON.parse(text);
    if (typeof pid === "number" && typeof host === "string" && typeof token === "string")
      return { pid, host, token };
  } catch {
    // Not written by this package.
  }
  return { pid: 0, host: "?", token: "" };
}

/** Whether the process that had it has certainly ended. */
function isOver({ pid, host, token }: Owner): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return !held.has(token);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}

function locked(name: string, owner: Owner | null): StorageError {
  const who = owner === null ? "nobody" : `process ${owner.pid} on ${owner.host}`;
  return new StorageError(
    "STORAGE_LOCKED",
    `initialize: ${who} has the file of the database. With sql.js one process at a time can keep it; where that one has ` +
      `ended, remove ${JSON.stringify(name.split(/[\\/]/).at(-1))}`,
    { operation: "initialize", retryable: false },
  );
}
