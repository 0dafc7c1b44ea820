import fs from "node:fs";

// Calls that only touch memory (open, stat, append to the page cache, read what was just written) are synchronous: each
// takes 2 to 10 µs, a trip to the thread pool some 30. Only what waits for the device leaves the event loop free.

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants;
// Undefined on Windows, where a link cannot be planted without a privilege.
const noFollow = fs.constants.O_NOFOLLOW ?? 0;

export const forReading = O_RDONLY | noFollow;
export const forAppending = O_RDWR | O_APPEND | noFollow;
export const forCreating = O_RDWR | O_APPEND | O_CREAT | O_EXCL | noFollow;

const fileMode = 0o600;
const folderMode = 0o700;

/** The code of an error of the system, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function withFileSync<T>(path: string, flags: number, use: (file: number) => T): T {
  const file = fs.openSync(path, flags, fileMode);
  try {
    return use(file);
  } finally {
    fs.closeSync(file);
  }
}

export async function withFile<T>(
  path: string,
  flags: number,
  use: (file: number) => Promise<T>,
): Promise<T> {
  const file = fs.openSync(path, flags, fileMode);
  try {
    return await use(file);
  } finally {
    fs.closeSync(file);
  }
}

export function sizeOf(file: number): number {
  return fs.fstatSync(file).size;
}

/** Writes at the end of a file opened for appending; after a throw a part may be there. */
export function append(file: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += fs.writeSync(file, bytes, done);
}

/** Reads up to `length` bytes; fewer where the file ends. */
export function readAt(file: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const count = fs.readSync(file, bytes, done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

/** Makes the content durable. The size is part of it; times, which `fsync` would write too, are not needed. */
export function syncFile(file: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(file, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder for this, and keeps names durable by itself.
  if (process.platform === "win32") return;
  await withFile(path, O_RDONLY, (file) => {
    return new Promise<void>((resolve, reject) => {
      fs.fsync(file, (error) => (error === null ? resolve() : reject(error)));
    });
  });
}

export function makeFolder(path: string, options: { parents?: boolean } = {}): void {
  fs.mkdirSync(path, { mode: folderMode, recursive: options.parents === true });
}

/** Names in a folder; null where there is no such folder. A link is not a folder. */
export function listFolder(path: string): string[] | null {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  if (!found.isDirectory()) throw Object.assign(new Error("not a folder"), { code: "ENOTDIR", path });
  return unlessMissing(() => fs.readdirSync(path));
}

export function removeFile(path: string): void {
  unlessMissing(() => fs.unlinkSync(path));
}

/** False: it has something in it, or is gone. */
export function removeEmptyFolder(path: string): boolean {
  try {
    fs.rmdirSync(path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTEMPTY" || code === "EEXIST") return false;
    throw error;
  }
}

/** Runs a call; null where what it names does not exist. */
export function unlessMissing<T>(call: () => T): T | null {
  try {
    return call();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}
