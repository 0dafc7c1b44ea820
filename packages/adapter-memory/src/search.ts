import {
  type Entry,
  type Search,
  type SearchHit,
  type SearchTerm,
  type SessionRow,
  checkSearch,
  compareHits,
  encodeSearchCursor,
  isExpired,
  searchTerms,
  searchWords,
  snippetOf,
  visibleRanges,
} from "@waymark/core/adapter";
import type { Store } from "./store.js";

/** Looks through all messages. */
export function createSearch(store: Store): Search {
  return {
    async query(query) {
      const behind = checkSearch(query);
      const { text, userId, sessionId, from = -Infinity, to = Infinity, expiresAfter, limit } = query;
      const terms = searchTerms(lower(text));
      const found: Entry[] = [];
      for (const row of terms.length === 0 ? [] : store.sessions.values()) {
        if (row.status === "deleting" || (sessionId !== undefined && row.id !== sessionId)) continue;
        if (userId !== undefined && row.userId !== userId) continue;
        if (expiresAfter !== undefined && isExpired(row, expiresAfter)) continue;
        for (const entry of visibleEntries(store, row)) {
          if (entry.createdAt < from || entry.createdAt > to) continue;
          if (behind !== null && compareHits(entry, behind) <= 0) continue;
          if (hasAll(searchWords(lower(entry.content)), terms)) found.push(entry);
        }
      }
      const items = found.toSorted(compareHits).slice(0, limit);
      const last = items.at(-1);
      const isLast = found.length <= limit || last === undefined;
      return {
        items: items.map((entry) => hit(entry, terms)),
        next: isLast ? null : encodeSearchCursor(last),
      };
    },
  };
}

const lower = (text: string) => text.toLowerCase();

function visibleEntries({ entries }: Store, row: SessionRow): Entry[] {
  const log = [...(entries.get(row.id)?.get(row.life)?.values() ?? [])];
  const ranges = visibleRanges(row);
  return log.filter(({ sequence }) => ranges.some(([from, to]) => sequence >= from && sequence <= to));
}

function hasAll(words: readonly string[], terms: readonly SearchTerm[]): boolean {
  return terms.every((term) => term.isExcluded !== has(words, term.words));
}

/** Whether the words follow each other somewhere. */
function has(words: readonly string[], wanted: readonly string[]): boolean {
  return words.some((_, at) => wanted.every((word, index) => words[at + index] === word));
}

function hit(
  { sessionId, log, sequence, role, createdAt, content }: Entry,
  terms: readonly SearchTerm[],
): SearchHit {
  return { sessionId, log, sequence, role, createdAt, snippet: snippetOf(content, terms) };
}
