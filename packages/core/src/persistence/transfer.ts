import { checkId } from "../contract/id.js";
import type { StoredMessage } from "../contract/message.js";
import type { Commit, NewEntry, RowChanges } from "../contract/turns.js";
import { WaymarkError, isWaymarkError } from "../errors.js";
import { checkFormat, encodeState } from "../state/envelope.js";
import { type SchemaVersions, migrateState } from "../state/migrate.js";
import type { SessionState } from "../state/session.js";
import { entryBytes, expiry, planTurn, tooLarge } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { jsonBytes } from "../turn/size.js";
import { visibleRanges } from "../turn/visible.js";
import type { Around } from "./around.js";
import { isOwn, ownerOf } from "./check.js";
import {
  type ExportContents,
  type SessionExport,
  damagedExport,
  openExport,
  sealExport,
} from "./export-format.js";
import { decodeMessage, messageProblems } from "./messages.js";
import type { SavedTurn } from "./options.js";
import { checkedState } from "./save.js";
import { type Reading, type Saving, partsOf } from "./saving.js";

/** A whole session, as of one moment. @throws `SESSION_NOT_FOUND`, `STATE_TOO_NEW`, `STORAGE_DAMAGED` */
export async function exportSession(
  { store, userId }: Reading,
  id: string,
  options: { readonly userId?: string | undefined },
  operation: string,
): Promise<SessionExport> {
  checkId(id, operation);
  const owner = ownerOf(options.userId, userId, operation);
  const found = await store.read(id, visibleRanges);
  if (found === null || !isOwn(found.row, owner)) throw refusalError({ status: "absent" }, operation, id);
  const { row, entries } = found;
  checkFormat(row.state, { operation, sessionId: id });
  const { agentName, status, createdAt, completedAt, state } = row;
  if (status === "deleting") throw refusalError({ status: "absent" }, operation, id);
  const session = { id, userId: row.userId, agentName, status, createdAt, completedAt, state };
  const messages = entries.map(({ userId: by, role, content, createdAt: at, body }) => ({
    ...{ userId: by, role, content, createdAt: at, body },
  }));
  return sealExport({ session, messages }, operation);
}

/** What stands in an export, all of it checked. */
export interface Imported<TData> {
  readonly session: SessionState<TData>;
  readonly messages: readonly StoredMessage[];
}

/** Reads an export, in the present version of the schema. @throws `EXPORT_DAMAGED`, `STATE_TOO_NEW`, `MIGRATION_FAILED` */
export function readExport<TData>(
  contents: ExportContents,
  versions: SchemaVersions,
  id: string | undefined,
  operation: string,
): Imported<TData> {
  const sessionId = id ?? "";
  const context = { operation, ...(id === undefined ? {} : { sessionId: id }) };
  try {
    const { state, createdAt } = contents.session;
    checkFormat(state, context);
    const { metadata, ...parts } = partsOf<TData>(migrateState(state, versions, context), sessionId);
    const session: SessionState<TData> = {
      ...(id === undefined ? {} : { id }),
      ...parts,
      metadata: { ...metadata, createdAt: new Date(createdAt) },
    };
    const messages = contents.messages.map((entry, index) => {
      const message = decodeMessage(
        { ...entry, sessionId, log: "", sequence: index + 1 },
        { operation, sessionId },
      );
      if (messageProblems(message, []).length === 0) return message;
      throw damagedExport(`has no message at ${index + 1}`, operation);
    });
    return { session, messages };
  } catch (error) {
    if (isWaymarkError(error) && error.code === "STORAGE_DAMAGED")
      throw damagedExport("holds values that do not read back", operation, error);
    throw error;
  }
}

/** @throws `OWNER_MISMATCH` */
function checkOwner(
  { session }: ExportContents,
  owner: string | undefined,
  operation: string,
  sessionId: string | undefined,
): void {
  if (owner === undefined || session.userId === null || session.userId === owner) return;
  const message = `${operation}: the export is a session of another user; nothing was imported`;
  throw new WaymarkError("OWNER_MISMATCH", message, { operation, sessionId });
}

/**
 * Stores an export as a new session: in one commit, or if it is larger than one may be, in several, during which it is
 * abandoned, so that nobody goes on with a part of it. What fails on the way is removed again.
 * @throws `SESSION_EXISTS`
 */
export async function importSession<TData>(
  saving: Saving<TData>,
  around: Around<TData>,
  data: unknown,
  options: { readonly id?: string | undefined; readonly userId?: string | undefined },
  call: { readonly operation: string; readonly ticket: number },
): Promise<SavedTurn> {
  const { operation, ticket } = call;
  const { environment, commitBytes } = saving;
  const contents = await openExport(data, operation);
  const { session: from } = contents;
  const id = options.id ?? from.id;
  checkId(id, operation);
  const owner = ownerOf(options.userId, saving.userId, operation);
  checkOwner(contents, owner, operation, id);
  const { session, messages } = readExport<TData>(contents, saving.versions, id, operation);
  const extras = { schemaVersion: saving.versions.version };
  const context = { operation, sessionId: id };
  const state = await checkedState(saving, encodeState(session, context, extras), session, {
    ...{ id, call: operation, ticket },
  });
  const now = environment.now();
  const { agentName, status, completedAt, createdAt } = from;
  const end: RowChanges = { status, completedAt };
  const batches = batchesOf(contents.messages, commitBytes, id);
  const isOne =
    contents.messages.reduce((sum, entry) => sum + entryBytes(entry, commitBytes), 0) +
      jsonBytes(state, commitBytes) <=
    commitBytes;
  const { commit } = planTurn({
    ...{ id, base: null, state, createdAt, at: now, owner, reopen: false, commitBytes },
    messages: isOne ? contents.messages : [],
    records: undefined,
    operation: { id: environment.newId(), digest: "" },
    retry: undefined,
    set: {
      ...{ userId: owner ?? from.userId, agentName },
      ...(isOne ? end : { status: "abandoned" }),
      ...expiry(saving.expireAfterMs, now),
    },
    newId: environment.newId,
  });
  return around.save({ ...call, sessionId: id }, { session, messages }, async () => {
    const version = await write(saving, commit, isOne ? [] : batches, end, operation);
    return { version, first: 1, last: messages.length, replayed: false };
  });
}

/** @returns the version that was made. */
async function write<TData>(
  { store, environment, deadlineMs }: Saving<TData>,
  create: Commit,
  batches: readonly (readonly NewEntry[])[],
  end: RowChanges,
  operation: string,
): Promise<string> {
  const { id, owner } = create;
  const patience = () => ({ deadline: environment.now() + deadlineMs });
  let isBegun = false;
  try {
    return await store.inOrder(id, async (commitNow) => {
      const first = await commitNow(create, patience());
      if (!isStored(first)) throw refusalError(first, operation, id);
      isBegun = true;
      const { version } = first;
      for (const [index, messages] of batches.entries()) {
        const outcome = await commitNow(
          {
            id,
            expect: { kind: "version", version },
            operation: { id: environment.newId(), digest: "" },
            revision: environment.newId(),
            at: environment.now(),
            owner,
            reopen: true,
            set: index === batches.length - 1 ? end : {},
            messages,
            history: [],
          },
          patience(),
        );
        if (isStored(outcome)) continue;
        // Somebody else has taken the session away, or changed it: it is theirs now.
        isBegun = outcome.status === "failed";
        throw refusalError(outcome, operation, id);
      }
      return version;
    });
  } catch (error) {
    // The error that the caller has to see is the first one.
    if (isBegun) await store.delete(id, owner, patience()).catch(() => false);
    throw error;
  }
}

const mostInBatch = 500;

/** @throws `COMMIT_TOO_LARGE` */
function batchesOf(messages: readonly NewEntry[], commitBytes: number, id: string): NewEntry[][] {
  const batches: NewEntry[][] = [];
  let left = 0;
  for (const entry of messages) {
    const bytes = entryBytes(entry, commitBytes);
    if (bytes > commitBytes) throw tooLarge(id, bytes, commitBytes);
    const batch = batches.at(-1);
    if (batch !== undefined && bytes <= left && batch.length < mostInBatch) batch.push(entry);
    else {
      batches.push([entry]);
      left = commitBytes;
    }
    left -= bytes;
  }
  return batches;
}
