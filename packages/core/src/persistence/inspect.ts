import { type WaymarkError, isWaymarkError } from "../errors.js";
import { schemaVersionOf } from "../state/envelope.js";
import { isOwn, ownerOf } from "./check.js";
import { readMessages } from "./history.js";
import { openSession } from "./open.js";
import { type SessionInfo, infoOf } from "./queries.js";
import type { Reading } from "./saving.js";

/** What was found in a session that was read wholly. */
export interface SessionInspection {
  readonly session: SessionInfo;
  /** The schema version in which its state is stored. */
  readonly schemaVersion: number;
  /** Why its state, or messages, cannot be read: what a load would throw. None: it is whole. */
  readonly problems: readonly WaymarkError[];
}

const pageSize = 1000;

/** Reads a session from end to end, and changes nothing. Null: there is none. */
export async function inspect(
  saving: Reading,
  id: string,
  options: { readonly userId?: string | undefined },
  operation: string,
): Promise<SessionInspection | null> {
  const owner = ownerOf(options.userId, saving.userId, operation);
  const found = await saving.store.load(id, 0);
  const session = found !== null && isOwn(found.row, owner) ? infoOf(found.row) : null;
  if (found === null || session === null) return null;
  const problems: WaymarkError[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      if (!isWaymarkError(error) || error.retryable) throw error;
      if (!problems.some(({ message }) => message === error.message)) problems.push(error);
    }
  };
  await attempt(() => openSession(saving, id, { ...options, last: 0 }, operation));
  const { first, last } = found.row;
  // Each page by itself, so that what is damaged does not hide what comes after it.
  for (let after = first - 1; after < last; after += pageSize) {
    const query = { ...options, after, before: after + pageSize + 1, limit: pageSize };
    await attempt(() => readMessages(saving, id, query, operation));
  }
  return { session, schemaVersion: schemaVersionOf(found.row.state), problems };
}
