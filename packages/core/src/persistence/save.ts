import { jsonEqual } from "../codec/equal.js";
import { checkId } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { NewEntry } from "../contract/turns.js";
import { ValidationError } from "../errors.js";
import { encodeState } from "../state/envelope.js";
import { validateData } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { type Patience, checkPatience } from "../turn/patience.js";
import { type Base, type TurnChanges, type TurnPlan, planTurn, turnDigest } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { adopt } from "./adopt.js";
import { encodeMessages } from "./messages.js";
import type { SavedTurn, TurnInput } from "./options.js";
import { resolveConflict } from "./resolve.js";
import { type Saving, baseOfRow, hiddenParts, partsOf } from "./saving.js";

/**
 * Stores a turn: checks and encodes what the state is at the moment when its turn comes, commits it on the version that it
 * was made from, and where somebody else was first, goes on as the conflict policy says.
 */
export async function saveTurn<TData>(
  saving: Saving<TData>,
  input: TurnInput<TData>,
  operation: string,
): Promise<SavedTurn> {
  const { session, signal } = input;
  const id = checkSession(session, operation);
  if (input.operationId !== undefined) checkId(input.operationId, operation, "operation id");
  const { store, environment } = saving;
  const patience: Patience = { deadline: environment.now() + saving.deadlineMs, signal };
  return store.inOrder(id, async (commitNow) => {
    const turn = await snapshot(saving, input, id, operation);
    let plan = turn.plan(turn.base, turn.mine);
    for (let retry = 1; ; retry++) {
      const outcome = await commitNow(plan.commit, patience);
      if (!isStored(outcome)) {
        if (outcome.status !== "conflict") throw refusalError(outcome, operation, id);
      } else if (outcome.status === "committed") {
        saving.own.moved(id, plan.base?.version, outcome.version);
        take(saving, session, id, turn.mine, {
          version: outcome.version,
          state: plan.state,
          operations: outcome.operations,
        });
        setTimes(session, turn.createdAt, outcome.at);
        return { version: outcome.version, first: outcome.first, last: outcome.last, replayed: false };
      } else {
        // The first try may have been stored on top of somebody else's change: the row says what the state is.
        const now = await store.load(id, 0);
        if (now !== null) {
          take(saving, session, id, turn.mine, baseOfRow(now.row));
          setTimes(session, now.row.createdAt, now.row.updatedAt);
        }
        return { version: outcome.version, first: outcome.first, last: outcome.last, replayed: true };
      }
      const theirs = await store.load(id, 0);
      if (theirs === null) throw refusalError({ status: "absent" }, operation, id);
      const stored = baseOfRow(theirs.row);
      const policy = input.conflict ?? saving.conflict;
      const merged = resolveConflict(saving, policy, {
        ...{ id, operation, session },
        ...{ base: turn.base, mine: turn.mine, stored },
      });
      plan = turn.plan(stored, merged);
      checkPatience(patience, environment.now(), id);
      await environment.pause(retry);
    }
  });
}

function checkSession<TData>(session: SessionState<TData>, operation: string): string {
  if (typeof session !== "object" || session === null) {
    throw new ValidationError("INVALID_ARGUMENT", `${operation}: \`session\` must be a session state`, {
      operation,
    });
  }
  checkId(session.id, operation);
  if (session.version !== undefined && typeof session.version !== "string") {
    throw new ValidationError(
      "INVALID_STATE",
      `${operation}: \`session.version\` is not one that Waymark gave`,
      {
        operation,
        sessionId: session.id,
      },
    );
  }
  return session.id;
}

interface Snapshot {
  readonly base: Base | null;
  readonly mine: Json;
  readonly createdAt: number;
  plan(base: Base | null, state: Json): TurnPlan;
}

/** What is to be saved, as it is now: later changes of the object belong to a later save. */
async function snapshot<TData>(
  saving: Saving<TData>,
  input: TurnInput<TData>,
  id: string,
  call: string,
): Promise<Snapshot> {
  const { session } = input;
  const { environment, schema } = saving;
  const { version } = session;
  const known = saving.known.get(session);
  let base: Base | null = null;
  if (version !== undefined)
    base = known?.version === version ? known : await baseOfCopy(saving, id, version);
  if (schema !== undefined) {
    const checked = validateData(schema, session.data, { operation: call, sessionId: id });
    if (checked !== undefined) await checked;
  }
  const at = environment.now();
  const owner = input.userId ?? saving.userId;
  if (owner !== undefined) checkId(owner, call, "user id");
  const messages: readonly NewEntry[] = encodeMessages(input.messages ?? [], {
    operation: call,
    sessionId: id,
    userId: owner ?? null,
    now: at,
  });
  const mine = encodeState(session, { operation: call, sessionId: id }, hiddenParts(base?.state));
  const createdAt = session.metadata?.createdAt?.getTime() ?? at;
  const operation: TurnChanges["operation"] =
    input.operationId === undefined
      ? // Nobody else knows this id, so nobody can send it again with other contents.
        { id: environment.newId(), digest: "", isNew: true }
      : { id: input.operationId, digest: turnDigest(mine, messages), isNew: input.firstTry === true };
  return {
    base,
    mine,
    createdAt,
    plan: (base, state) =>
      planTurn({
        id,
        base,
        state,
        messages,
        operation,
        set: base === null ? { userId: owner ?? null, agentName: saving.agentName ?? null } : {},
        createdAt,
        at,
        owner,
        reopen: input.reopen === true,
        commitBytes: saving.commitBytes,
        newId: environment.newId,
      }),
  };
}

/** For a copy of a loaded object, what it was made from is the row itself, if it still has that version. */
async function baseOfCopy<TData>({ store }: Saving<TData>, id: string, version: string): Promise<Base> {
  const now = await store.load(id, 0);
  return now?.row.version === version ? baseOfRow(now.row) : { version, state: null, operations: null };
}

/** Makes the object what its new version says, and remembers what the store holds for it. */
function take<TData>(
  { known }: Saving<TData>,
  session: SessionState<TData>,
  id: string,
  mine: Json,
  stored: Base,
): void {
  if (!jsonEqual(mine, stored.state))
    adopt(session, partsOf<TData>(mine, id), partsOf<TData>(stored.state, id));
  session.version = stored.version;
  known.set(session, stored);
}

function setTimes<TData>(session: SessionState<TData>, createdAt: number, updatedAt: number): void {
  session.metadata ??= {};
  session.metadata.createdAt = new Date(createdAt);
  session.metadata.updatedAt = new Date(updatedAt);
}
