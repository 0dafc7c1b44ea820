/** A page of a list: an array that also says where it goes on; null on the last page. */
export type List<T, Next = string> = T[] & { readonly next: Next | null };

/** `next` is not enumerable, so that a list is equal to an array of the same items. */
export function listOf<T, Next>(items: T[], next: Next | null): List<T, Next> {
  const list = Object.assign(items, { next });
  Object.defineProperty(list, "next", { enumerable: false });
  return list;
}
