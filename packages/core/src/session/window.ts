import type { Message } from "../contract/message.js";

/** What of a conversation the model is shown. */
export interface Window<M> {
  readonly messages: readonly M[];
  /** How many of them the next turn shows again, at the same place. */
  readonly stable: number;
}

/**
 * The last messages of a conversation, from a beginning that stays where it is for half a window and then moves on by that: a
 * window that began elsewhere in each turn would have nothing in front that a provider could keep.
 * @param messages the last `limit` at least, each with its sequence.
 */
export function stableWindow<M extends Message>(messages: readonly M[], limit: number): Window<M> {
  const last = messages.at(-1)?.sequence ?? 0;
  const begin = beginOf(last, limit);
  const shown = messages.filter(({ sequence = 0 }) => sequence >= begin);
  // A turn adds what the person says and the answer.
  return { messages: shown, stable: beginOf(last + 2, limit) === begin ? shown.length : 0 };
}

function beginOf(last: number, limit: number): number {
  const step = Math.ceil(limit / 2);
  return Math.ceil(Math.max(0, last - limit) / step) * step + 1;
}
