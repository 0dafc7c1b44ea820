import { checkId } from "../contract/id.js";
import type { Message, StoredMessage } from "../contract/message.js";
import type { NewEntry } from "../contract/turns.js";
import { entryBytes, tooLarge } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { invalid, ownerOf } from "./check.js";
import { decodeMessage, encodeMessages } from "./messages.js";
import type { WriteOptions } from "./options.js";
import type { Saving } from "./saving.js";

/** Messages to add, as they were when the call was made. */
export interface PreparedMessages {
  readonly id: string;
  readonly owner: string | undefined;
  readonly entries: readonly NewEntry[];
  readonly options: WriteOptions;
  readonly call: string;
  readonly now: number;
}

/** @throws `INVALID_ARGUMENT`, `INVALID_ID`, `INVALID_VALUE` */
export function prepareMessages(
  messages: readonly (Message & { readonly sessionId: string })[],
  options: WriteOptions,
  { userId, now }: { readonly userId: string | undefined; readonly now: number },
  call: string,
): PreparedMessages {
  if (!Array.isArray(messages)) throw invalid(call, "the messages must be an array");
  const id: unknown = messages[0]?.sessionId;
  checkId(id, call);
  if (messages.some((message) => message?.sessionId !== id)) {
    throw invalid(call, "the messages must be of one session, since they are stored all or none", id);
  }
  const owner = ownerOf(options.userId, userId, call);
  const said = messages.map((message) => ({ ...message, sessionId: undefined }));
  const context = { operation: call, sessionId: id, userId: owner ?? null, now };
  return { id, owner, entries: encodeMessages(said, context), options, call, now };
}

/** Adds messages to a session that exists, in one write. @throws `SESSION_NOT_FOUND`, `SESSION_CLOSED`, `COMMIT_TOO_LARGE` */
export async function appendMessages<TData>(
  { store, commitBytes, deadlineMs, expireAfterMs }: Saving<TData>,
  { id, owner, entries, options, call, now }: PreparedMessages,
): Promise<StoredMessage[]> {
  const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry, commitBytes), 0);
  if (bytes > commitBytes) throw tooLarge(id, bytes, commitBytes);
  const { reopen, signal } = options;
  const outcome = await store.append({
    id,
    ...(owner === undefined ? {} : { owner }),
    ...(reopen === undefined ? {} : { reopen }),
    expireAfterMs,
    messages: entries,
    bytes,
    patience: { deadline: now + deadlineMs, signal },
  });
  if (!isStored(outcome)) throw refusalError(outcome, call, id);
  const { life, first } = outcome;
  return entries.map((entry, index) =>
    decodeMessage(
      { ...entry, sessionId: id, log: life, sequence: first + index },
      { operation: call, sessionId: id },
    ),
  );
}
