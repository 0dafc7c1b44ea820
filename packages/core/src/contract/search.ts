import { ValidationError } from "../errors.js";
import type { SearchHit, SearchQuery } from "./facets.js";
import { compareBytes } from "./find.js";
import { checkId } from "./id.js";

/** Where a page of a search ended: the next one begins behind it. */
export type SearchPosition = Pick<SearchHit, "createdAt" | "sessionId" | "sequence">;

/** What people look for is short: a longer text is somebody's document. In UTF-16 units. */
const longestText = 16_384;

/** The cursor for a position: opaque to callers, and safe in a URL. */
export function encodeSearchCursor({ createdAt, sequence, sessionId }: SearchPosition): string {
  return `${createdAt}.${sequence}.${encodeURIComponent(sessionId)}`;
}

/**
 * Checks a query; gives the position to begin behind, if any. Every adapter begins with it.
 * @throws `INVALID_ARGUMENT`, `INVALID_ID`
 */
export function checkSearch({ text, userId, sessionId, limit, cursor }: SearchQuery): SearchPosition | null {
  if (typeof text !== "string" || text.length > longestText)
    throw invalid(`\`text\` must be a string of at most ${longestText} characters`);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100)
    throw invalid("`limit` must be an integer from 1 to 100");
  if (userId !== undefined) checkId(userId, "search", "user id");
  if (sessionId !== undefined) checkId(sessionId, "search");
  return cursor === undefined ? null : decodeSearchCursor(cursor);
}

function decodeSearchCursor(cursor: string): SearchPosition {
  const match = typeof cursor === "string" ? /^(-?\d{1,16})\.(\d{1,16})\.(.+)$/s.exec(cursor) : null;
  try {
    const [createdAt, sequence] = [Number(match?.[1]), Number(match?.[2])];
    const sessionId = decodeURIComponent(match?.[3] ?? "");
    checkId(sessionId, "search");
    if (Number.isSafeInteger(createdAt) && Number.isSafeInteger(sequence))
      return { createdAt, sequence, sessionId };
  } catch {
    // An escape or an id that no page gave.
  }
  throw invalid("the cursor is not one that an earlier page gave");
}

/** The order of a search: the newest first, then by the bytes of the session's id, then the last of a session first. */
export function compareHits(a: SearchPosition, b: SearchPosition): number {
  return b.createdAt - a.createdAt || compareBytes(a.sessionId, b.sessionId) || b.sequence - a.sequence;
}

/** A part of a query's text: words that have to follow each other, or must not. */
export interface SearchTerm {
  /** As it was written, without the quotes and the minus; well-formed, and without U+0000. */
  readonly text: string;
  /** At least one, of letters and digits, as they were written. */
  readonly words: readonly string[];
  readonly isExcluded: boolean;
}

const unstorable = /[\0\p{Surrogate}]/gu;
const terms = /(-?)(?:"([^"]*)"|([^\s"]+))/gu;
const wordsIn = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;

/** What a text looks for, by the rules of the facet. None where it has no word that has to be there. */
export function searchTerms(text: string): readonly SearchTerm[] {
  const found: SearchTerm[] = [];
  for (const [, sign, quoted, bare] of text.replaceAll(unstorable, " ").matchAll(terms)) {
    const said = quoted ?? bare ?? "";
    const words = searchWords(said);
    if (words.length > 0) found.push({ text: said, words, isExcluded: sign === "-" });
  }
  return found.some(({ isExcluded }) => !isExcluded) ? found : [];
}

/** The words of a text, for stores that search in the process. */
export function searchWords(text: string): string[] {
  return text.match(wordsIn) ?? [];
}

/** Of so many words, the longest, a place is looked for in each message that is shown. */
const wordsPlaced = 8;

/** A word that stands behind so many UTF-16 units of a message is not shown. */
const longestLookedThrough = 100_000;

/** A part of a message around the longest word that is looked for, as far as one is found there; otherwise its beginning. */
export function snippetOf(content: string, terms: readonly SearchTerm[]): string {
  const words = terms
    .flatMap((term) => (term.isExcluded ? [] : term.words))
    .map((word) => folded(word.normalize("NFC")));
  const text = folded(content.slice(0, longestLookedThrough));
  for (const word of words.toSorted((a, b) => b.length - a.length).slice(0, wordsPlaced)) {
    const at = text.indexOf(word);
    if (at >= 0) return snippetAt(content, at);
  }
  return snippetAt(content, 0);
}

/** A text without cases and accents, unit for unit, so that a place in it is one of the text. */
function folded(text: string): string {
  return text.replaceAll(/[^\0-\x7f]/g, withoutMarks).toLowerCase();
}

function withoutMarks(unit: string): string {
  const base = unit.normalize("NFD").replaceAll(/\p{M}/gu, "");
  return base.length === 1 ? base : unit;
}

/** So much of a message is shown before and behind what was found, in UTF-16 units. */
const margin = 80;

/** A part of a message around a place in it, which cuts no character in half. */
export function snippetAt(content: string, at: number): string {
  let from = Math.max(0, at - margin);
  let to = Math.min(content.length, at + margin);
  if (isSecondHalf(content, from)) from++;
  if (isSecondHalf(content, to)) to--;
  return content.slice(from, to);
}

function isSecondHalf(text: string, at: number): boolean {
  return at > 0 && /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(at - 1, at + 1));
}

function invalid(message: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `search: ${message}`, { operation: "search" });
}
