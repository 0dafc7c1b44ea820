import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "@jest/globals";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { WaymarkError } from "../../src/errors.js";
import { FileAdapter } from "../../src/file/index.js";
import { mapAdapter } from "./map-adapter.js";

export type OpenStore = () => PersistenceAdapter;

/** Two stores for what the manager does on any: one through the outbox, one that writes whole turns. */
export function eachStore(): (readonly [name: string, open: OpenStore])[] {
  const folder = mkdtempSync(join(tmpdir(), "waymark-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  return [
    ["two repositories", () => mapAdapter()],
    ["files", () => new FileAdapter({ directory: join(folder, String(count++)) })],
  ];
}

/** The error of a call that has to be refused. */
export async function refusal(work: Promise<unknown>): Promise<WaymarkError> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof WaymarkError) return error;
  throw error ?? new Error("was not refused");
}
