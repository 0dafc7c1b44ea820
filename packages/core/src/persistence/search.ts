import type { SearchHit, SearchQuery } from "../contract/facets.js";
import type { Role } from "../contract/message.js";
import { checkSearch } from "../contract/search.js";
import { checkDate, invalid, ownerOf } from "./check.js";
import { type List, listOf } from "./list.js";
import { decodeMessage, isRole } from "./messages.js";
import type { Reading } from "./saving.js";

/** Which messages to look for. */
export interface MessageSearch {
  /**
   * What was said: all words have to be there, whatever their case; words in double quotes have to follow each other, and a
   * word behind a `-` must not be there. At most 16,384 characters.
   */
  readonly text: string;
  /** Only sessions that belong to this user. Default: the manager's. */
  readonly userId?: string | undefined;
  /** Only this session. */
  readonly sessionId?: string | undefined;
  /** Only messages of this time or later. */
  readonly from?: Date | undefined;
  /** Only messages of this time or earlier. */
  readonly to?: Date | undefined;
  /** 1 to 100. Default: 20. */
  readonly limit?: number | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
}

/** A message that was found. */
export interface FoundMessage {
  readonly sessionId: string;
  readonly sequence: number;
  readonly role: Role;
  readonly createdAt: Date;
  /** A part of the message around what was found, as it was said. */
  readonly snippet: string;
}

const usualPage = 20;

/** Nothing is sent before this. @throws `INVALID_ARGUMENT`, `INVALID_ID` */
export function prepareSearch(
  wanted: MessageSearch,
  manager: string | undefined,
  operation: string,
): Omit<SearchQuery, "expiresAfter"> {
  if (typeof wanted !== "object" || wanted === null)
    throw invalid(operation, "takes an object with the `text` to look for");
  const { text, sessionId, from, to, limit = usualPage, cursor } = wanted;
  checkDate(from, operation, "from");
  checkDate(to, operation, "to");
  const userId = ownerOf(wanted.userId, manager, operation);
  const query = {
    ...{ text, limit },
    ...(userId === undefined ? {} : { userId }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(from === undefined ? {} : { from: from.getTime() }),
    ...(to === undefined ? {} : { to: to.getTime() }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  checkSearch(query);
  return query;
}

export async function searchMessages(
  reading: Reading,
  query: Omit<SearchQuery, "expiresAfter">,
  operation: string,
): Promise<List<FoundMessage>> {
  const { store, environment } = reading;
  const { items, next } = await store.search(operation).query({ ...query, expiresAfter: environment.now() });
  const found = items.map(async (hit): Promise<FoundMessage[]> => {
    const { sessionId, sequence, role, createdAt, snippet } = hit;
    if (!isRole(role)) return [];
    const said = snippet.includes("\ufffd") ? await exactly(reading, hit, operation) : snippet;
    return [{ sessionId, sequence, role, createdAt: new Date(createdAt), snippet: said }];
  });
  return listOf((await Promise.all(found)).flat(), next);
}

/**
 * The text that a store searches has U+FFFD for each U+0000 and lone surrogate, of which it keeps the message itself exactly:
 * one for one, so that a part of the copy stands at the same place in the message.
 */
async function exactly(
  { store }: Reading,
  { sessionId, log, sequence, snippet }: SearchHit,
  operation: string,
): Promise<string> {
  const read = await store.read(sessionId, (row) => (row.life === log ? [[sequence, sequence]] : []));
  const entry = read?.entries[0];
  const at = entry?.content.indexOf(snippet) ?? -1;
  if (entry === undefined || at < 0) return snippet;
  return decodeMessage(entry, { operation, sessionId }).content.slice(at, at + snippet.length);
}
