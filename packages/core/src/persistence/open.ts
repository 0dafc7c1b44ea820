import { checkId } from "../contract/id.js";
import type { StoredMessage } from "../contract/message.js";
import { validateState } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { checkCount, isOwn, ownerOf } from "./check.js";
import { decodeMessage } from "./messages.js";
import { type Reading, baseOfRow, sessionOf } from "./saving.js";

/** A session as it is stored now. */
export interface Opened<TData> {
  readonly session: SessionState<TData>;
  readonly messages: StoredMessage[];
  /** When it ends, if nothing is written before; null: never. */
  readonly expiresAt: Date | null;
}

/** How many messages are read where nobody says. */
export const defaultLast = 100;

/** State and last messages in one trip, migrated and validated. Null: certainly no such session. */
export async function openSession<TData>(
  saving: Reading,
  id: string,
  options: { readonly last?: number | undefined; readonly userId?: string | undefined },
  operation: string,
): Promise<Opened<TData> | null> {
  checkId(id, operation);
  const { last = defaultLast } = options;
  checkCount(last, [0, 1000], operation, "last");
  const owner = ownerOf(options.userId, saving.userId, operation);
  const loaded = await saving.store.load(id, last);
  if (loaded === null || !isOwn(loaded.row, owner)) return null;
  const { row, entries } = loaded;
  const context = { operation, sessionId: id };
  const base = baseOfRow(row, saving.versions, operation);
  const session = sessionOf<TData>(row, base);
  if (saving.schema !== undefined) await validateState(saving.schema, session, context);
  session.version = saving.shownVersions.shown(id, row.version);
  saving.known.set(session, base);
  return {
    session,
    messages: entries.map((entry) => decodeMessage(entry, context)),
    expiresAt: row.expiresAt === null ? null : new Date(row.expiresAt),
  };
}
