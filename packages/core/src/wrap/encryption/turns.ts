import { checkId } from "../../contract/id.js";
import type { Entry, SessionRow } from "../../contract/row.js";
import { sessionScope } from "../../contract/scope.js";
import type { Commit, Expectation, NewEntry, Outcome, Turns } from "../../contract/turns.js";
import { applyCommit, nextVersion } from "../../turn/apply.js";
import { historyLog, systemOf } from "../../turn/system.js";
import type { Cipher } from "./cipher.js";
import { digestPlace, openEntry, openRow, recordPlace, sealEntry, statePlace } from "./parts.js";

/** What has to be known of a row before what goes into it can be encrypted for its place. */
type Head = Pick<SessionRow, "id" | "life" | "version" | "last">;

/** A commit as it is sent. */
interface Attempt {
  readonly commit: Commit;
  /** It expects more of the row than the caller does: where that is not so, the caller is told nothing of it. */
  readonly isNarrowed: boolean;
}

const headsRemembered = 1000;

/** Tries of a commit that others were faster than, before core is told that the session is busy. */
const mostTries = 5;

/**
 * Whole turns with their contents encrypted. An entry is encrypted for its sequence, which only the store gives: so the row's
 * last sequence is remembered or read, and the store is asked to commit where it still is the last.
 */
export function encryptTurns(turns: Turns, cipher: Cipher): Turns {
  const heads = new Map<string, Head>();

  function remember({ id, life, version, last }: Head): void {
    heads.delete(id);
    heads.set(id, { id, life, version, last });
    const [oldest] = heads.size > headsRemembered ? heads.keys() : [];
    if (oldest !== undefined) heads.delete(oldest);
  }

  /** The commit for a row that is as it was last seen; where nobody has seen it, as it is now. */
  async function prepare(commit: Commit): Promise<Attempt | Outcome> {
    checkId(commit.id, "commit");
    const head = headOf(commit, heads.get(commit.id));
    return head === undefined ? prepareAgain(commit) : sealCommit(cipher, commit, head);
  }

  /** The commit for the row as it is now, or the answer that this row gives. */
  async function prepareAgain(commit: Commit): Promise<Attempt | Outcome> {
    const { id, expect } = commit;
    const row = (await turns.load(id, { last: 0 }))?.row ?? null;
    if (row !== null) remember(row);
    const operation = { id: commit.operation.id, digest: await digestFor(cipher, row, commit) };
    const applied = applyCommit(row, { ...commit, operation });
    if (!applied.write) return applied.outcome;
    const head = expect.kind === "create" || row === null ? headOfNew(id, applied.row.life) : row;
    return sealCommit(cipher, commit, head);
  }

  /** One commit's answer is its own, an error too. */
  async function settled(work: () => Promise<Attempt | Outcome>): Promise<Attempt | Outcome> {
    try {
      return await work();
    } catch (error) {
      return { status: "failed", error };
    }
  }

  async function sendAlone(attempt: Attempt): Promise<Outcome> {
    try {
      const [outcome] = await turns.commit([attempt.commit]);
      if (outcome !== undefined) return outcome;
      throw new TypeError("the store answered fewer commits than it was given");
    } catch (error) {
      return { status: "failed", error };
    }
  }

  async function settle(commit: Commit, first: Attempt, answer: Outcome): Promise<Outcome> {
    let attempt = first;
    let outcome = answer;
    for (let tries = 1; ; tries++) {
      if (outcome.status === "committed") {
        const { life, version, last } = outcome;
        remember({ id: commit.id, life, version, last });
      }
      if (!isInDoubt(attempt, outcome)) return outcome;
      if (tries === mostTries) return { status: "busy" };
      const next = await settled(() => prepareAgain(commit));
      if (!isAttempt(next)) return next;
      attempt = next;
      outcome = await sendAlone(attempt);
    }
  }

  return {
    ...(turns.groups === undefined ? undefined : { groups: turns.groups }),

    async commit(commits) {
      const prepared = await Promise.all(commits.map((commit) => settled(() => prepare(commit))));
      const attempts = prepared.filter(isAttempt);
      const answers = attempts.length === 0 ? [] : await turns.commit(attempts.map(({ commit }) => commit));
      const answerOf = new Map(attempts.map((attempt, index) => [attempt, answers[index]]));
      return Promise.all(
        commits.map((commit, index): Outcome | Promise<Outcome> => {
          const one = prepared[index];
          if (one === undefined) return { status: "busy" };
          if (!isAttempt(one)) return one;
          const error = new TypeError("the store answered fewer commits than it was given");
          return settle(commit, one, answerOf.get(one) ?? { status: "failed", error });
        }),
      );
    },

    async load(id, options) {
      const loaded = await turns.load(id, options);
      if (loaded === null) return null;
      remember(loaded.row);
      const asking = { operation: "load", sessionId: id };
      const place = { sessionId: id, log: loaded.row.life };
      const [row, entries] = await Promise.all([
        openRow(cipher, { ...loaded.row, id }, "load"),
        Promise.all(loaded.entries.map((entry) => openEntry(cipher, { ...entry, ...place }, asking))),
      ]);
      return { row, entries };
    },

    ...(turns.remove === undefined ? undefined : { remove: turns.remove.bind(turns) }),
  };
}

function isAttempt(one: Attempt | Outcome): one is Attempt {
  return "commit" in one;
}

/**
 * A row that is not as it was taken to be says nothing of what the caller expects. A digest may be of another key than the
 * one that writes now, or from before there was any.
 */
function isInDoubt({ isNarrowed }: Attempt, { status }: Outcome): boolean {
  return status === "mismatch" || (isNarrowed && (status === "conflict" || status === "absent"));
}

/** What is known of the row without a read. Undefined: not enough. */
function headOf(commit: Commit, seen: Head | undefined): Head | undefined {
  const { id, expect, messages, set } = commit;
  if (expect.kind === "create") return headOfNew(id, expect.life);
  if (expect.kind === "version") {
    const { version } = expect;
    const life = version.slice(0, Math.max(0, version.lastIndexOf(".")));
    if (messages.length === 0) return { id, life, version, last: 0 };
    const last = expect.last ?? (seen?.life === life ? seen.last : undefined);
    return last === undefined ? undefined : { id, life, version, last };
  }
  if (isWithoutContents(commit)) return headOfNew(id, "");
  // What an append makes of a state that was tried before depends on what the row remembers.
  return set.state === undefined ? seen : undefined;
}

/** Nothing of it is encrypted for a place in the row's life. */
function isWithoutContents({ messages, history, records = [], set }: Commit): boolean {
  return set.state === undefined && messages.length + history.length + records.length === 0;
}

function headOfNew(id: string, life: string): Head {
  return { id, life, version: `${life}.0`, last: 0 };
}

async function sealCommit(cipher: Cipher, commit: Commit, head: Head): Promise<Attempt> {
  const { id, operation, set, messages, history, records } = commit;
  const { life, last } = head;
  const expect = narrowed(commit, head);
  const log = historyLog(life);
  const isNew = expect.kind === "create";
  const state =
    set.state === undefined && !isNew
      ? undefined
      : cipher.seal(
          set.state === undefined ? {} : set.state,
          statePlace({ id, life, version: nextVersion(head) }),
        );
  const entries = messages.map((entry, index) =>
    sealNew(cipher, entry, { sessionId: id, log: life, sequence: last + index + 1 }),
  );
  const spilt = history.map((entry) =>
    sealNew(cipher, entry, { sessionId: id, log, sequence: entry.sequence }),
  );
  const scope = sessionScope(id, life);
  const values = records?.map(async ({ key, value }) => ({
    key,
    value: value === null ? null : await cipher.seal(value, recordPlace(scope, key)),
  }));
  const digest = cipher.sealDigest(operation.digest, digestPlace(id, operation.id));
  const sealed: Commit = {
    ...commit,
    expect,
    operation: { id: operation.id, digest: await digest },
    set: state === undefined ? set : { ...set, state: await state },
    messages: await Promise.all(entries),
    history: await Promise.all(spilt),
    ...(values && { records: await Promise.all(values) }),
  };
  return { commit: sealed, isNarrowed: expect !== commit.expect };
}

/** What is expected so that the contents land where they were encrypted for. */
function narrowed(commit: Commit, { version, last }: Head): Expectation {
  const { expect, messages } = commit;
  if (expect.kind === "create") return expect;
  if (expect.kind === "version")
    return messages.length === 0 || expect.last !== undefined ? expect : { ...expect, last };
  if (isWithoutContents(commit)) return expect;
  return { ...expect, kind: "version", version, ...(messages.length === 0 ? undefined : { last }) };
}

async function sealNew<T extends NewEntry>(
  cipher: Cipher,
  entry: T,
  key: Pick<Entry, "sessionId" | "log" | "sequence">,
): Promise<T> {
  const { userId, role, content, createdAt, body } = entry;
  const sealed = await sealEntry(cipher, { ...key, userId, role, content, createdAt, body });
  return { ...entry, content: sealed.content, body: sealed.body };
}

/** The digest as the row has it, where it is of the same text: another key may have encrypted it, or none. */
async function digestFor(cipher: Cipher, row: SessionRow | null, { id, operation }: Commit): Promise<string> {
  const place = digestPlace(id, operation.id);
  const known = row && systemOf(row).operations.find((one) => one.id === operation.id);
  if (known) {
    const text = await cipher.openDigest(known.digest, place, { operation: "commit", sessionId: id });
    if (text === operation.digest) return known.digest;
  }
  return cipher.sealDigest(operation.digest, place);
}
