import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type WaymarkError, isWaymarkError, storageError } from "../errors.js";
import { invalid } from "../persistence/check.js";
import { type ForeignSession, parseSession } from "./parse.js";

/** What became of the files of a folder. The files themselves stay as they are. */
export interface ImportReport {
  /** Ids of the sessions that are stored now. */
  readonly imported: readonly string[];
  /** Ids of sessions that had been there before, and were left as they were. */
  readonly existing: readonly string[];
  /** Files of which nothing was stored, each with the reason. */
  readonly failed: readonly { readonly file: string; readonly error: WaymarkError }[];
}

const operation = "importFolder";

/** Reads the `*.json` files of a folder in the order of their names, and hands each session to `save`. */
export async function importFiles(
  folder: string,
  save: (session: ForeignSession) => Promise<void>,
): Promise<ImportReport> {
  if (typeof folder !== "string" || folder === "") throw invalid(operation, "the folder must be a path");
  const imported = new Set<string>();
  const existing: string[] = [];
  const failed: { file: string; error: WaymarkError }[] = [];
  for (const file of await jsonFiles(folder)) {
    try {
      const session = parseSession(await readFile(join(folder, file)));
      if (imported.has(session.id)) throw invalid(operation, "another file has the same session", session.id);
      if (await isSaved(session, save)) imported.add(session.id);
      else existing.push(session.id);
    } catch (error) {
      failed.push({ file, error: storageError(error, { operation }) });
    }
  }
  return { imported: [...imported], existing, failed };
}

async function jsonFiles(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".json")).toSorted();
  } catch (error) {
    throw storageError(error, { operation });
  }
}

/** False: there is such a session already. */
async function isSaved(
  session: ForeignSession,
  save: (session: ForeignSession) => Promise<void>,
): Promise<boolean> {
  try {
    await save(session);
    return true;
  } catch (error) {
    if (isWaymarkError(error) && error.code === "SESSION_EXISTS") return false;
    throw error;
  }
}
