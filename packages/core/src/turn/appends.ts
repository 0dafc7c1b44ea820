import type { Commit, Committed, NewEntry, Outcome } from "../contract/turns.js";
import type { TurnEnvironment } from "./environment.js";
import type { Lanes } from "./lane.js";
import type { CommitNow, Patience } from "./patience.js";
import { expiry, opened } from "./plan.js";
import type { Refused } from "./refusal.js";

/** Messages to add to a session that exists. */
export interface Append {
  readonly id: string;
  readonly owner?: string;
  readonly reopen?: boolean;
  /** How long the session lives from now on, in milliseconds; absent: as before. */
  readonly expireAfterMs?: number | undefined;
  readonly messages: readonly NewEntry[];
  readonly bytes: number;
  readonly patience: Patience;
}

/** Adds messages at whatever version; calls that follow each other while the session is at work become one commit. */
export interface Appends {
  add(append: Append): Promise<Committed | Refused>;
  /** Other work of the session was handed in: what is added from now on comes after it. */
  seal(id: string): void;
}

interface Waiting {
  readonly append: Append;
  resolve(outcome: Committed | Refused): void;
  reject(error: unknown): void;
}

export function createAppends(
  lanes: Lanes,
  commitNow: CommitNow,
  environment: TurnEnvironment,
  commitBytes: number,
): Appends {
  /** The batch of each session that is still open, and already has its place in the session's lane. */
  const open = new Map<string, Waiting[]>();

  function add(append: Append): Promise<Committed | Refused> {
    return new Promise((resolve, reject) => {
      const waiting = { append, resolve, reject };
      const batch = open.get(append.id);
      if (batch !== undefined) return void batch.push(waiting);
      const next = [waiting];
      open.set(append.id, next);
      // A microtask later the calls of the same tick are all here.
      void lanes.run(append.id, () => Promise.resolve().then(() => commitAll(append.id, next)));
    });
  }

  async function commitAll(id: string, batch: Waiting[]): Promise<void> {
    if (open.get(id) === batch) open.delete(id);
    while (batch.length > 0) await commitTogether(takeTogether(batch, commitBytes));
  }

  async function commitTogether(together: readonly Waiting[]): Promise<void> {
    const first = together[0]?.append;
    if (first === undefined) return;
    try {
      const outcome = await commitNow(commitOf(together, first), first.patience);
      let offset = 0;
      for (const { append, resolve } of together) {
        resolve(part(outcome, offset, append.messages.length));
        offset += append.messages.length;
      }
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }

  function commitOf(together: readonly Waiting[], { id, owner, reopen, expireAfterMs }: Append): Commit {
    const at = environment.now();
    return {
      id,
      expect: { kind: "append" },
      operation: { id: environment.newId(), digest: "" },
      revision: environment.newId(),
      at,
      ...(owner === undefined ? {} : { owner }),
      ...(reopen === undefined ? {} : { reopen }),
      set: { ...(reopen === true ? opened : undefined), ...expiry(expireAfterMs, at) },
      messages: together.flatMap(({ append }) => append.messages),
      history: [],
    };
  }

  return { add, seal: (id) => void open.delete(id) };
}

/** A page of messages is read at most 1,000 at a time: larger commits gain nothing. */
const mostTogether = 1000;

/** The appends at the head of a batch that may travel as one commit. */
function takeTogether(batch: Waiting[], commitBytes: number): Waiting[] {
  const together: Waiting[] = [];
  let bytes = 0;
  let count = 0;
  for (;;) {
    const next = batch[0];
    const first = together[0];
    if (next === undefined) return together;
    bytes += next.append.bytes;
    count += next.append.messages.length;
    const fits =
      bytes <= commitBytes / 2 && count <= mostTogether && (!first || isAlike(first.append, next.append));
    if (first !== undefined && !fits) return together;
    together.push(next);
    batch.shift();
  }
}

function isAlike(a: Append, b: Append): boolean {
  if (a.expireAfterMs !== b.expireAfterMs) return false;
  return a.owner === b.owner && a.reopen === b.reopen && a.patience.signal === b.patience.signal;
}

/** The outcome of one call among those that were committed together. */
function part(outcome: Outcome, offset: number, length: number): Outcome {
  if (outcome.status !== "committed" && outcome.status !== "replayed") return outcome;
  const first = outcome.first + offset;
  return { ...outcome, first, last: first + length - 1 };
}
