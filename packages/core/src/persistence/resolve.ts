import type { Json } from "../contract/json.js";
import { SessionConflictError } from "../errors.js";
import { encodeState } from "../state/envelope.js";
import type { Base } from "../turn/plan.js";
import { rebase } from "../turn/rebase.js";
import type { ConflictPolicy } from "./options.js";
import { type Saving, hiddenParts, partsOf } from "./saving.js";

/** A save that came second. */
export interface Conflict {
  readonly id: string;
  readonly call: string;
  /** What `mine` was made from. */
  readonly base: Base | null;
  readonly mine: Json;
  /** What is stored now. */
  readonly stored: Base;
}

/** The state to store on top of the one that is there. @throws `SESSION_CONFLICT` */
export function resolveConflict<TData>(
  saving: Saving<TData>,
  policy: ConflictPolicy<TData>,
  conflict: Conflict,
): Json {
  const { id, call: operation, base, mine } = conflict;
  const { version, state } = conflict.stored;
  const fail = (message: string, keys: readonly string[] = []) =>
    new SessionConflictError(`${operation}: ${message}`, {
      ...{ operation, sessionId: id, keys },
      ...{ expected: base?.version ?? "", actual: version },
    });
  if (typeof policy === "function") {
    const [here, there] = [partsOf<TData>(mine, id), partsOf<TData>(state, id)];
    const merged = policy({
      base:
        base === null || base.state === null
          ? null
          : { id, ...partsOf<TData>(base.state, id), version: base.version },
      mine: { id, ...here, version: base?.version },
      theirs: { id, ...there, version },
    });
    // How much history is older than the merged one depends on whose it goes on from.
    const goesOnFromMine = here.routeHistory.length > 0 && merged.routeHistory[0] === here.routeHistory[0];
    return encodeState(
      merged,
      { operation, sessionId: id },
      hiddenParts(goesOnFromMine ? mine : state, saving.versions),
    );
  }
  if (policy === "reject") throw fail("the session was changed by somebody else; load it again");
  // Without the state that both were made from, nobody can say who changed what.
  if (base === null || base.state === null) {
    throw fail("the session was changed since this copy of its state was made; load it again");
  }
  if (policy === "queue" && !saving.own.madeAll(id, base.version, version)) {
    throw fail("the session was changed by another process; load it again");
  }
  const result = rebase(base.state, mine, state, policy === "queue" ? "mine" : "conflict");
  if (result.state !== undefined) return result.state;
  throw fail(`somebody else changed the same keys: ${result.keys.join(", ")}`, result.keys);
}
