import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PersistenceAdapter } from "@waymark/core";
import { FileAdapter } from "@waymark/core/file";
import { MemoryAdapter } from "../src/index.js";

/** A store to run the same tests on. */
export interface TestStore {
  readonly name: string;
  /** An empty store, and what removes it. `connect` gives a further adapter on it, as another process would have. */
  open(): Promise<{ connect(): PersistenceAdapter; remove(): Promise<void> }>;
}

/** The same tables, with the facet hidden: core then uses its outbox. */
function withoutTurns({
  name,
  durability,
  limits,
  sessionRepository,
  messageRepository,
}: PersistenceAdapter) {
  return { name, durability, limits, sessionRepository, messageRepository };
}

/** The same store, as one that takes smaller commits. */
export function limited(adapter: PersistenceAdapter, commitBytes: number): PersistenceAdapter {
  return { ...withoutTurns(adapter), turns: adapter.turns, limits: { commitBytes } };
}

function memory(name: string, hide: (adapter: MemoryAdapter) => PersistenceAdapter): TestStore {
  return {
    name,
    open: async () => {
      const adapter = new MemoryAdapter();
      return { connect: () => hide(adapter), remove: async () => adapter.clear() };
    },
  };
}

function file(name: string, hide: (adapter: FileAdapter) => PersistenceAdapter): TestStore {
  return {
    name,
    open: async () => {
      const directory = await mkdtemp(join(tmpdir(), "waymark-"));
      return {
        connect: () => hide(new FileAdapter({ directory })),
        remove: () => rm(directory, { recursive: true, force: true }),
      };
    },
  };
}

export const stores: readonly TestStore[] = [
  memory("memory", (adapter) => adapter),
  memory("memory without turns", withoutTurns),
  file("files", (adapter) => adapter),
  file("files without turns", withoutTurns),
];
