import { randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { WaymarkError } from "../errors.js";
import { removeFile, syncFolder } from "./disk.js";
import { failure } from "./failure.js";

const fileMode = 0o600;

/** Puts JSON into a file, durably, in the place of what was there; what fails leaves the old file. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    try {
      const file = await open(temporary, "wx", fileMode);
      try {
        await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      removeFile(temporary);
      throw error;
    }
    await syncFolder(dirname(path));
  } catch (error) {
    throw failure(error, dirname(path), { operation: "save" });
  }
}

/** @throws `EXPORT_DAMAGED` for a file that is no JSON; `STORAGE_FAILED` where it cannot be read */
export async function readJson(path: string): Promise<unknown> {
  const operation = "load";
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw failure(error, dirname(path), { operation });
  }
  try {
    return JSON.parse(text);
  } catch {
    // Its own error quotes the text, which people said.
    throw new WaymarkError("EXPORT_DAMAGED", `${operation}: the file is not JSON; nothing was imported`, {
      operation,
    });
  }
}
