import type { SessionRow } from "./row.js";

/** Whether the time of a session is over: it then counts as absent on every path, until it is removed. */
export function isExpired({ expiresAt }: Pick<SessionRow, "expiresAt">, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}
