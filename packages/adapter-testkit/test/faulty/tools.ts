import type { MemoryAdapter } from "@waymark/adapter-memory";
import type {
  Commit,
  Entry,
  MessageRepository,
  Outcome,
  PersistenceAdapter,
  Records,
  SessionRepository,
  SessionRow,
  Turns,
} from "@waymark/core/adapter";
import { applyCommit } from "@waymark/core/adapter";
import type { Harness } from "../../src/index.js";

/** An adapter that is wrong in one plausible way. */
export interface Mutant {
  readonly name: string;
  /** The words of the test that has to catch it. */
  readonly caughtBy: RegExp;
  readonly harness: (name: string) => Harness;
}

/** What a wrong adapter does otherwise than the right one. */
export interface Changes {
  readonly sessions?: (right: SessionRepository, adapter: MemoryAdapter) => Partial<SessionRepository>;
  readonly messages?: (right: MessageRepository, adapter: MemoryAdapter) => Partial<MessageRepository>;
  readonly turns?: (right: Turns, adapter: MemoryAdapter) => Partial<Turns>;
  readonly records?: (right: Records) => Partial<Records>;
  readonly adapter?: (right: MemoryAdapter) => Partial<PersistenceAdapter>;
}

export function change(right: MemoryAdapter, changes: Changes): PersistenceAdapter {
  const { sessionRepository, messageRepository, turns, records, search } = right;
  return {
    name: right.name,
    durability: right.durability,
    limits: right.limits,
    sessionRepository: { ...sessionRepository, ...changes.sessions?.(sessionRepository, right) },
    messageRepository: { ...messageRepository, ...changes.messages?.(messageRepository, right) },
    turns: turns && { ...turns, ...changes.turns?.(turns, right) },
    records: records && { ...records, ...changes.records?.(records) },
    search,
    ...changes.adapter?.(right),
  };
}

/** Writes a row whatever is there. */
export async function force(sessions: SessionRepository, row: SessionRow): Promise<void> {
  for (;;) {
    const there = await sessions.findById(row.id);
    if (there === null ? await sessions.create(row) : await sessions.update(row, there.revision)) return;
  }
}

export const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How a wrong facet applies one commit on the repositories. */
export interface Rules {
  /** Changes the commit before it is applied. */
  readonly commit?: (commit: Commit) => Commit;
  /** Changes what is seen of the row before the commit is applied. */
  readonly seen?: (row: SessionRow) => SessionRow;
  /** Changes what is written. */
  readonly written?: (row: SessionRow, before: SessionRow | null, commit: Commit) => SessionRow;
  readonly entries?: (entries: readonly Entry[], before: SessionRow | null) => readonly Entry[];
  /** Between the write of the row and that of the entries. */
  readonly pause?: () => Promise<void>;
  readonly isMessagesFirst?: boolean;
}

/** The `turns` facet written out on the repositories, atomic unless a rule makes it otherwise. */
export function turnsBy(
  {
    sessionRepository: sessions,
    messageRepository: messages,
  }: Pick<PersistenceAdapter, "sessionRepository" | "messageRepository">,
  rules: Rules,
): Partial<Turns> {
  async function one(commit: Commit): Promise<Outcome> {
    for (;;) {
      const before = await sessions.findById(commit.id);
      if (before?.dirty === true) return { status: "busy" };
      const seen = before === null || rules.seen === undefined ? before : rules.seen(before);
      const applied = applyCommit(seen, rules.commit?.(commit) ?? commit);
      const entries = applied.write ? (rules.entries?.(applied.entries, before) ?? applied.entries) : [];
      if (rules.isMessagesFirst === true) {
        await messages.insert(entries);
        await tick();
      }
      if (!applied.write) return applied.outcome;
      const row = rules.written?.(applied.row, before, commit) ?? applied.row;
      // Without a pause, nothing happens between these calls in the memory of a process.
      const written = before === null ? sessions.create(row) : sessions.update(row, before.revision);
      const stored =
        rules.pause === undefined
          ? messages.insert
          : async (list: readonly Entry[]) => {
              await rules.pause?.();
              await messages.insert(list);
            };
      if (await written) {
        if (rules.isMessagesFirst !== true) await stored(entries);
        return { ...applied.outcome, version: row.version };
      }
    }
  }
  return {
    commit: async (commits) => {
      const outcomes: Outcome[] = [];
      for (const commit of commits)
        outcomes.push(await one(commit).catch((error: unknown): Outcome => ({ status: "failed", error })));
      return outcomes;
    },
  };
}
