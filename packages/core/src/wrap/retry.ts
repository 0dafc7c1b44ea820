import type { PersistenceAdapter } from "../contract/adapter.js";
import type { Records } from "../contract/facets.js";
import type { Json } from "../contract/json.js";
import type { MessageRepository, SessionRepository } from "../contract/repositories.js";
import type { Commit, Outcome, Turns } from "../contract/turns.js";
import { type Pauses, type RetryOptions, createPauses, isPassing, repeat, untold } from "./again.js";
import { wrapAdapter } from "./base.js";

/**
 * The same store, whose calls are sent again where it could not be reached or a lock was not released in time
 * (`STORAGE_UNAVAILABLE`, `STORAGE_LOCKED`): after pauses that grow from about 50 ms to 2 s, each of random length, until
 * `tries` or `forMs` are over. Then the last error is thrown.
 *
 * A write without an answer may have been applied. So a `false` that follows one is believed only where it is certain:
 * `create`, `update` and `put` look for what they wrote, and are `true` where they find it; otherwise they throw the error of
 * the try that had no answer, and core, which knows its operations, finds out. A `delete` or `remove` is `true` where nothing
 * is there any more, whoever removed it. A number of removed entries or records counts what the last try found.
 * `describe` is asked once: it is to say how the store is now.
 * @throws `INVALID_CONFIGURATION` for `tries` or `forMs` that cannot be.
 */
export function withRetry(adapter: PersistenceAdapter, options: RetryOptions = {}): PersistenceAdapter {
  const begin = createPauses(options);
  return wrapAdapter(adapter, {
    limits: adapter.limits,
    sessionRepository: retrySessions(adapter.sessionRepository, begin),
    messageRepository: retryMessages(adapter.messageRepository, begin),
    turns: (turns) => retryTurns(turns, adapter.sessionRepository, begin),
    records: (records) => retryRecords(records, begin),
    search: (search) => ({ query: (asked) => repeat(begin(), () => search.query(asked)) }),
    send: (call) => repeat(begin(), call),
  });
}

type Begin = () => Pauses;

function retrySessions(sessions: SessionRepository, begin: Begin): SessionRepository {
  return {
    create: (row) =>
      repeat(begin(), async (isRepeated) => {
        if (await sessions.create(row)) return true;
        if (!isRepeated) return false;
        // A life is never given twice: a row of this life is this one, or what others have made of it.
        return (await sessions.findById(row.id))?.life === row.life || untold;
      }),
    findById: (id) => repeat(begin(), () => sessions.findById(id)),
    update: (row, seen) =>
      repeat(begin(), async (isRepeated) => {
        if (await sessions.update(row, seen)) return true;
        if (!isRepeated) return false;
        return (await sessions.findById(row.id))?.revision === row.revision || untold;
      }),
    delete: (id, seen) =>
      repeat(begin(), async (isRepeated) => {
        if (await sessions.delete(id, seen)) return true;
        return isRepeated && (await sessions.findById(id)) === null;
      }),
    find: (filter, page) => repeat(begin(), () => sessions.find(filter, page)),
  };
}

function retryMessages(messages: MessageRepository, begin: Begin): MessageRepository {
  return {
    insert: (entries) => repeat(begin(), () => messages.insert(entries)),
    findBySessionId: (id, range) => repeat(begin(), () => messages.findBySessionId(id, range)),
    deleteBySessionId: (id, range) => repeat(begin(), () => messages.deleteBySessionId(id, range)),
    ...(messages.replace === undefined
      ? undefined
      : { replace: (entries) => repeat(begin(), async () => (await messages.replace?.(entries)) ?? 0) }),
  };
}

function retryRecords(records: Records, begin: Begin): Records {
  return {
    get: (scope, key) => repeat(begin(), () => records.get(scope, key)),
    list: (scope, page) => repeat(begin(), () => records.list(scope, page)),
    put: (record, seen) =>
      repeat(begin(), async (isRepeated) => {
        if (await records.put(record, seen)) return true;
        if (!isRepeated) return false;
        return (await records.get(record.scope, record.key))?.revision === record.revision || untold;
      }),
    apply: (writes) => repeat(begin(), () => records.apply(writes)),
    delete: (scope, key, seen) =>
      repeat(begin(), async (isRepeated) => {
        if (await records.delete(scope, key, seen)) return true;
        return isRepeated && (await records.get(scope, key)) === null;
      }),
    deleteScope: (scope) => repeat(begin(), () => records.deleteScope(scope)),
    scopes: (page) => repeat(begin(), () => records.scopes(page)),
  };
}

const sessionsRemembered = 1000;

function retryTurns(turns: Turns, sessions: SessionRepository, begin: Begin): Turns {
  /** How many operations a session is known to have had: with it, a commit that was not applied is told from a forgotten one. */
  const counts = new Map<string, number>();

  function remember(id: string, count: number): void {
    counts.delete(id);
    counts.set(id, count);
    const oldest = counts.size > sessionsRemembered ? counts.keys().next().value : undefined;
    if (oldest !== undefined) counts.delete(oldest);
  }

  function sinceOf({ id, expect }: Commit): number | null {
    const expected = expect.kind === "append" ? expect.operations : undefined;
    return expected ?? counts.get(id) ?? null;
  }

  /**
   * Where none has an answer, all are sent again, as something that may have been applied. Where some have, they must not
   * wait for the others, which are handed back: core sends those again by themselves.
   */
  async function commit(commits: readonly Commit[]): Promise<readonly Outcome[]> {
    const pauses = begin();
    const again = commits.map((one) => ({ ...one, retry: one.retry ?? { since: sinceOf(one) } }));
    let outcomes = await send(commits, isPassing);
    while (outcomes.length > 0 && outcomes.every(isLost) && (await pauses.next()))
      outcomes = await send(again, () => true);
    return outcomes;
  }

  /** @param isKept whether an error of the whole call is the outcome of each commit; otherwise it is thrown. */
  async function send(
    commits: readonly Commit[],
    isKept: (error: unknown) => boolean,
  ): Promise<readonly Outcome[]> {
    let outcomes: readonly Outcome[];
    try {
      outcomes = await turns.commit(commits);
    } catch (error) {
      if (!isKept(error)) throw error;
      return commits.map(() => ({ status: "failed", error }));
    }
    for (const [index, { id }] of commits.entries()) {
      const outcome = outcomes[index];
      if (outcome !== undefined && "operations" in outcome) remember(id, outcome.operations);
    }
    return outcomes;
  }

  return {
    groups: turns.groups === true,
    commit,
    load: async (id, options) => {
      const loaded = await repeat(begin(), () => turns.load(id, options));
      const count = loaded === null ? null : countOf(loaded.row.system);
      if (count !== null) remember(id, count);
      return loaded;
    },
    ...(turns.remove === undefined
      ? undefined
      : { remove: removing(turns.remove.bind(turns), sessions, begin) }),
  };
}

function isLost(outcome: Outcome): boolean {
  return outcome.status === "failed" && isPassing(outcome.error);
}

/** Of what core keeps in a row; null where it is something else. */
function countOf(system: Json): number | null {
  const count = typeof system === "object" && system !== null && "count" in system ? system.count : null;
  return typeof count === "number" ? count : null;
}

function removing(
  remove: NonNullable<Turns["remove"]>,
  sessions: SessionRepository,
  begin: Begin,
): NonNullable<Turns["remove"]> {
  return (rows) =>
    repeat(begin(), async (isRepeated) => {
      const answers = await remove(rows);
      if (!isRepeated) return answers;
      const isGone = async (id: string) => (await sessions.findById(id)) === null;
      return Promise.all(rows.map(async ({ id }, index) => answers[index] === true || isGone(id)));
    });
}
