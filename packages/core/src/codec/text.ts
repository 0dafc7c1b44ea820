const unstorable = /[\0\p{Surrogate}]/u;
const everyUnstorable = /[\0\p{Surrogate}]/gu;

/** Whether every store takes this text as it is: no U+0000 and no lone surrogate. */
export function isStorableText(text: string): boolean {
  return !unstorable.test(text);
}

/**
 * The text with U+0000 and lone surrogates replaced by U+FFFD. For columns that hold a copy of something that is kept
 * losslessly elsewhere; what must come back equal goes through `encodeValue`.
 */
export function storableText(text: string): string {
  return unstorable.test(text) ? text.replace(everyUnstorable, "\ufffd") : text;
}
