import fs from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Gives a file other contents: whoever reads it, at whatever instant, finds the old ones or the new ones. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  // A link keeps its place: what it points to is replaced.
  const target = (await unlessMissing(fs.realpath(path))) ?? path;
  const mode = (await unlessMissing(fs.stat(target)))?.mode ?? 0o600;
  // One name: what a process that was killed has left is written over by the next one.
  const temporary = join(dirname(target), `.${basename(target)}.new`);
  try {
    const file = await fs.open(temporary, "w", mode & 0o777);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, target);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

/** Makes the new name durable. */
async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder for this, and keeps names durable by itself.
  if (process.platform === "win32") return;
  const folder = await fs.open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Null where what the call names does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** The code of an error of the system, such as `ENOENT`. */
export function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
