import { checkId } from "../contract/id.js";
import type { StoredMessage } from "../contract/message.js";
import type { SessionRow } from "../contract/row.js";
import { checkFormat } from "../state/envelope.js";
import { type Range, firstOf, lastOf, visibleRanges } from "../turn/visible.js";
import { checkCount, invalid, isOwn, ownerOf } from "./check.js";
import { type List, listOf } from "./list.js";
import { decodeMessage } from "./messages.js";
import { defaultLast } from "./open.js";
import type { Reading } from "./saving.js";

/** Which messages to read. */
export interface MessageQuery {
  /** 1 to 1,000. Default: 100. */
  readonly limit?: number | undefined;
  /** Only messages with a smaller sequence. */
  readonly before?: number | undefined;
  /** Only messages with a larger sequence; with it a page holds the first of them, otherwise the last. */
  readonly after?: number | undefined;
  /** Order of the result by sequence. Default: `asc`. */
  readonly order?: "asc" | "desc" | undefined;
  readonly userId?: string | undefined;
}

/** A page of messages. `next` is for the `after` of the next page where there was one, otherwise for its `before`. */
export type MessageList = List<StoredMessage, number>;

/** A page of messages; none where there is no session. */
export async function readMessages(
  { store, userId }: Reading,
  id: string,
  query: MessageQuery,
  operation: string,
): Promise<MessageList> {
  checkId(id, operation);
  const { limit = defaultLast, before = Infinity, after, order = "asc" } = query;
  checkCount(limit, [1, 1000], operation, "limit");
  checkSequence(query.before, operation, "before");
  checkSequence(after, operation, "after");
  if (order !== "asc" && order !== "desc") throw invalid(operation, "`order` must be asc or desc", id);
  const owner = ownerOf(query.userId, userId, operation);
  const choose = (row: SessionRow): readonly Range[] => {
    if (!isOwn(row, owner)) return [];
    const ranges = lastOf(visibleRanges(row), Infinity, before - 1);
    return after === undefined ? lastOf(ranges, limit) : firstOf(ranges, limit, after + 1);
  };
  const isTail = before === Infinity && after === undefined;
  const found = isTail ? await store.load(id, limit) : await store.read(id, choose);
  if (found === null || !isOwn(found.row, owner)) return listOf([], null);
  const context = { operation, sessionId: id };
  checkFormat(found.row.state, context);
  const messages = found.entries.map((entry) => decodeMessage(entry, context));
  const next = nextOf(visibleRanges(found.row), messages, before, after);
  return listOf(order === "desc" ? messages.toReversed() : messages, next);
}

/** Where the page after this one begins, if there is one. */
function nextOf(
  ranges: readonly Range[],
  messages: readonly StoredMessage[],
  before: number,
  after: number | undefined,
): number | null {
  const edge = after === undefined ? messages[0] : messages.at(-1);
  if (edge === undefined) return null;
  const { sequence } = edge;
  const rest =
    after === undefined
      ? lastOf(ranges, 1, sequence - 1)
      : firstOf(lastOf(ranges, Infinity, before - 1), 1, sequence + 1);
  return rest.length > 0 ? sequence : null;
}

function checkSequence(value: number | undefined, operation: string, name: string): void {
  if (value === undefined || Number.isSafeInteger(value)) return;
  throw invalid(operation, `\`${name}\` must be a sequence, a whole number`);
}
