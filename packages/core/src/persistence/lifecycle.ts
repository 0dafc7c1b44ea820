import { checkId } from "../contract/id.js";
import type { SessionStatus } from "../contract/row.js";
import { isPlainObject } from "../codec/kind.js";
import { mergeCollected } from "../state/helpers.js";
import type { SessionState } from "../state/session.js";
import { expiry } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { checkCount, checkDate, invalid, mostKept, ownerOf } from "./check.js";
import { openSession } from "./open.js";
import type { WriteOptions } from "./options.js";
import { prepareTurn, saveTurn } from "./save.js";
import type { Saving } from "./saving.js";

export const statuses: readonly unknown[] = [
  "active",
  "completed",
  "abandoned",
] satisfies readonly SessionStatus[];

/** @throws `INVALID_ARGUMENT` */
export function checkStatus(status: unknown, operation: string): void {
  if (!statuses.includes(status)) throw invalid(operation, "`status` must be active, completed or abandoned");
}

/** Sets the status of a session, whatever it was. False: there is none. */
export async function updateStatus<TData>(
  { store, environment, deadlineMs, userId, expireAfterMs }: Saving<TData>,
  id: string,
  change: { readonly status: SessionStatus; readonly at: Date | undefined },
  options: Pick<WriteOptions, "userId" | "signal">,
  operation: string,
): Promise<boolean> {
  const { status, at } = change;
  checkId(id, operation);
  checkStatus(status, operation);
  checkDate(at, operation, "at");
  const now = environment.now();
  const owner = ownerOf(options.userId, userId, operation);
  const outcome = await store.inOrder(
    id,
    (commit) =>
      commit(
        {
          id,
          expect: { kind: "append" },
          operation: { id: environment.newId(), digest: status },
          revision: environment.newId(),
          at: now,
          ...(owner === undefined ? {} : { owner }),
          reopen: true,
          set: {
            ...{ status, completedAt: status === "completed" ? (at?.getTime() ?? now) : null },
            ...expiry(expireAfterMs, now),
          },
          messages: [],
          history: [],
        },
        { deadline: now + deadlineMs, signal: options.signal },
      ),
    options.signal,
  );
  if (isStored(outcome)) return true;
  if (outcome.status === "absent") return false;
  throw refusalError(outcome, operation, id);
}

/**
 * Merges fields into what is stored, on top of whatever others have changed: it is no conflict that they did.
 * @throws `SESSION_NOT_FOUND`
 */
export async function updateCollected<TData>(
  saving: Saving<TData>,
  id: string,
  patch: Partial<TData>,
  options: WriteOptions & { readonly ticket: number },
  operation: string,
): Promise<SessionState<TData>> {
  const opened = await openSession(saving, id, { last: 0, userId: options.userId }, operation);
  if (opened === null) throw refusalError({ status: "absent" }, operation, id);
  const { session } = opened;
  mergeCollected(session, patch);
  const { ticket, ...write } = options;
  const turn = prepareTurn(
    {
      ...write,
      session,
      conflict: ({ theirs }) => {
        mergeCollected(theirs, patch);
        return theirs;
      },
    },
    { userId: saving.userId, now: saving.environment.now(), ticket },
    operation,
  );
  await saveTurn(saving, turn);
  return session;
}

/** The caller may go on with its object while the store is asked. */
export function copyOf<TData>(patch: Partial<TData>, operation: string): Partial<TData> {
  if (!isPlainObject(patch)) throw invalid(operation, "the patch must be a plain object of fields");
  return { ...patch };
}

/** Removes a session with its messages. False: there was none. */
export async function removeSession<TData>(
  { store, environment, deadlineMs, userId }: Saving<TData>,
  id: string,
  options: Pick<WriteOptions, "userId" | "signal">,
  operation: string,
): Promise<boolean> {
  checkId(id, operation);
  const owner = ownerOf(options.userId, userId, operation);
  return store.delete(id, owner, { deadline: environment.now() + deadlineMs, signal: options.signal });
}

/** Removes all messages but the newest. @throws `SESSION_NOT_FOUND` */
export async function trimMessages<TData>(
  { store, environment, deadlineMs, userId }: Saving<TData>,
  id: string,
  keep: number,
  options: Pick<WriteOptions, "userId" | "signal">,
  operation: string,
): Promise<number> {
  checkId(id, operation);
  checkCount(keep, [0, mostKept], operation, "keep");
  const owner = ownerOf(options.userId, userId, operation);
  const patience = { deadline: environment.now() + deadlineMs, signal: options.signal };
  const removed = await store.trim(id, keep, owner, patience);
  if (removed === null) throw refusalError({ status: "absent" }, operation, id);
  return removed;
}
