import { jsonEqual } from "../codec/equal.js";
import { checkId } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { SessionRow } from "../contract/row.js";
import type { NewEntry, NewRecord } from "../contract/turns.js";
import { ValidationError, isWaymarkError } from "../errors.js";
import { encodeState } from "../state/envelope.js";
import { validateState } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { type Patience, checkPatience } from "../turn/patience.js";
import { type Base, type TurnPlan, expiry, planTurn, turnDigest } from "../turn/plan.js";
import { isStored, refusalError } from "../turn/refusal.js";
import { adopt } from "./adopt.js";
import { encodeMessages } from "./messages.js";
import type { SavedTurn, TurnInput } from "./options.js";
import { encodeRecords } from "./record-values.js";
import { resolveConflict } from "./resolve.js";
import { type Saving, baseOfRow, hiddenParts, partsOf } from "./saving.js";

/** A turn as it was when the call was made. Only the state is looked at later, when its turn comes. */
export interface PreparedTurn<TData> extends Omit<TurnInput<TData>, "messages" | "records" | "userId"> {
  readonly id: string;
  readonly owner: string | undefined;
  readonly messages: readonly NewEntry[];
  readonly records: readonly NewRecord[] | undefined;
  readonly call: string;
  readonly ticket: number;
}

/** Checks a call and takes what it was given. @throws `INVALID_ARGUMENT`, `INVALID_ID`, `INVALID_STATE`, `INVALID_VALUE` */
export function prepareTurn<TData>(
  input: TurnInput<TData>,
  options: { readonly userId: string | undefined; readonly now: number; readonly ticket: number },
  call: string,
): PreparedTurn<TData> {
  const { session, messages = [], records, userId, operationId, firstTry, conflict, reopen, signal } = input;
  const id = checkSession(session, call);
  if (operationId !== undefined) checkId(operationId, call, "operation id");
  const owner = userId ?? options.userId;
  if (owner !== undefined) checkId(owner, call, "user id");
  const context = { operation: call, sessionId: id, userId: owner ?? null, now: options.now };
  const encoded = encodeMessages(messages, context);
  const { ticket } = options;
  return {
    session,
    operationId,
    firstTry,
    conflict,
    reopen,
    signal,
    id,
    owner,
    call,
    ticket,
    messages: encoded,
    records: records === undefined ? undefined : encodeRecords(records, call, id),
  };
}

/**
 * Stores a turn: checks and encodes what the state is at the moment when its turn comes, commits it on the version that it
 * was made from, and where somebody else was first, goes on as the conflict policy says.
 */
export async function saveTurn<TData>(saving: Saving<TData>, input: PreparedTurn<TData>): Promise<SavedTurn> {
  const { session, id, call, signal } = input;
  const { store, environment } = saving;
  if (input.records !== undefined) store.records(call);
  const patience: Patience = { deadline: environment.now() + saving.deadlineMs, signal };
  return await store.inOrder(
    id,
    async (commitNow) => {
      const turn = await snapshot(saving, input);
      let plan = turn.plan(turn.base, turn.checked);
      for (let retry = 1; ; retry++) {
        const outcome = await commitNow(plan.commit, patience, plan.base?.operations);
        if (!isStored(outcome)) {
          if (outcome.status !== "conflict") throw refusalError(outcome, call, id);
        } else if (outcome.status === "committed") {
          const { version, first, last, at, operations } = outcome;
          const createdAt = plan.base?.createdAt ?? turn.createdAt;
          saving.own.moved(id, plan.base?.version, version);
          if (version !== plan.base?.version) saving.shownVersions.moved(id, version);
          const stored: Base = { version, state: plan.state, isMigrated: false, operations, createdAt };
          take(saving, session, id, turn.mine, stored, at);
          takeAlong(saving, input, plan.base, stored, at);
          return { version: saving.shownVersions.shown(id, version), first, last, replayed: false };
        } else {
          const { version, first, last } = outcome;
          // The first try may have been stored on top of somebody else's change: the row says what the state is.
          const now = await store.load(id, 0);
          if (now !== null && now.row.life === outcome.life) {
            if (now.row.version === version) saving.own.movedOnce(id, turn.base?.version, version);
            const stored = takeIfKnown(saving, session, turn.mine, now.row, call);
            // Of an operation id that came from outside it is not known on top of what it was stored.
            if (stored?.version === version && input.operationId === undefined)
              takeAlong(saving, input, plan.base, stored, now.row.updatedAt);
          }
          return { version: saving.shownVersions.shown(id, version), first, last, replayed: true };
        }
        const theirs = await store.load(id, 0);
        if (theirs === null) throw refusalError({ status: "absent" }, call, id);
        const stored = baseOfRow(theirs.row, saving.versions, call);
        const policy = input.conflict ?? saving.conflict;
        const merged = resolveConflict(saving, policy, {
          id,
          call,
          base: turn.base,
          mine: turn.checked,
          stored,
        });
        plan = turn.plan(stored, await checkedState(saving, merged, partsOf<TData>(merged, id), input));
        checkPatience(patience, environment.now(), id);
        await environment.pause(retry);
      }
    },
    signal,
  );
}

function checkSession<TData>(session: SessionState<TData>, operation: string): string {
  if (typeof session !== "object" || session === null) {
    const message = `${operation}: \`session\` must be a session state`;
    throw new ValidationError("INVALID_ARGUMENT", message, { operation });
  }
  checkId(session.id, operation);
  const problem =
    session.version !== undefined && typeof session.version !== "string"
      ? "`session.version` is not one that Waymark gave"
      : Object.isFrozen(session)
        ? "the session is frozen, and a save writes its new version into it"
        : null;
  if (problem === null) return session.id;
  throw new ValidationError("INVALID_STATE", `${operation}: ${problem}`, {
    operation,
    sessionId: session.id,
  });
}

interface Snapshot {
  readonly base: Base | null;
  readonly mine: Json;
  /** The same after validation, which may change it. */
  readonly checked: Json;
  readonly createdAt: number;
  plan(base: Base | null, state: Json): TurnPlan;
}

/** What is to be saved, as it is now: later changes of the object belong to a later save. */
async function snapshot<TData>(saving: Saving<TData>, input: PreparedTurn<TData>): Promise<Snapshot> {
  const { session, id, call, owner, messages, records, operationId, firstTry, reopen } = input;
  const { environment } = saving;
  const version = session.version === undefined ? undefined : saving.shownVersions.meantBy(session.version);
  const known = saving.known.get(session);
  let base: Base | null = null;
  if (version !== undefined)
    base = known?.version === version ? known : await baseOfCopy(saving, id, version, call);
  const mine = encodeState(
    session,
    { operation: call, sessionId: id },
    hiddenParts(base?.state, saving.versions),
  );
  const isChecked = saving.validate !== undefined || saving.schema !== undefined;
  const checked = isChecked ? await checkedState(saving, mine, session, input) : mine;
  const at = environment.now();
  const createdAt = session.metadata?.createdAt?.getTime() ?? at;
  const expires = expiry(saving.expireAfterMs, at);
  // Nobody else knows an id that is made here, so nobody can send it again with other contents.
  const operation =
    operationId === undefined
      ? { id: environment.newId(), digest: "" }
      : { id: operationId, digest: turnDigest(mine, messages, records) };
  const since = operationId === undefined ? null : firstTried(saving, session, operationId, base);
  const isNew = operationId === undefined || firstTry === true;
  return {
    base,
    mine,
    checked,
    createdAt,
    plan: (base, state) =>
      planTurn({
        id,
        base,
        state,
        messages,
        records,
        operation,
        retry: isNew ? undefined : { since },
        set:
          base === null
            ? { userId: owner ?? null, agentName: saving.agentName ?? null, ...expires }
            : expires,
        createdAt,
        at,
        owner,
        reopen: reopen === true,
        commitBytes: saving.commitBytes,
        newId: environment.newId,
      }),
  };
}

/** A state after the application's own validation, and valid by the schema. @throws `INVALID_STATE`, `HOOK_FAILED` */
export async function checkedState<TData>(
  { schema, validate, versions }: Saving<TData>,
  state: Json,
  parts: Pick<SessionState<TData>, "data" | "dataByRoute">,
  { id, call, ticket }: Pick<PreparedTurn<TData>, "id" | "call" | "ticket">,
): Promise<Json> {
  const context = { operation: call, sessionId: id };
  if (validate === undefined) {
    if (schema !== undefined) await validateState(schema, parts, context);
    return state;
  }
  const session: SessionState<TData> = { id, ...partsOf<TData>(state, id) };
  const issues = (await validate(session, { ...context, ticket })) ?? [];
  if (issues.length > 0) {
    const places = issues.map(({ path }) => path.join(".")).join(", ");
    const message = `${call}: the state was refused in ${places}; see \`issues\`. Nothing was written`;
    throw new ValidationError("INVALID_STATE", message, { ...context, issues });
  }
  if (schema !== undefined) await validateState(schema, session, context);
  return encodeState(session, context, hiddenParts(state, versions));
}

const triesRemembered = 32;

/** How many operations the session had had when this object was first saved with this operation id. */
function firstTried<TData>(
  { tried }: Saving<TData>,
  session: SessionState<TData>,
  operationId: string,
  base: Base | null,
): number | null {
  const tries = tried.get(session) ?? new Map<string, number | null>();
  tried.set(session, tries);
  const before = tries.get(operationId);
  if (before !== undefined) return before;
  tries.set(operationId, base?.operations ?? null);
  const oldest = tries.size > triesRemembered ? tries.keys().next().value : undefined;
  if (oldest !== undefined) tries.delete(oldest);
  return base?.operations ?? null;
}

/** For a copy of a loaded object, what it was made from is the row itself, if it still has that version. */
async function baseOfCopy<TData>(
  { store, versions }: Saving<TData>,
  id: string,
  version: string,
  call: string,
): Promise<Base> {
  const now = await store.load(id, 0);
  // What the copy was saved with before is not known, so neither is how far a retry reaches back.
  if (now?.row.version === version) return { ...baseOfRow(now.row, versions, call), operations: null };
  return { version, state: null, isMigrated: false, operations: null, createdAt: null };
}

/**
 * After a replay. Where a newer version of the application has gone on from the turn, the turn is stored all the same: the
 * object then keeps its old version, and its next save is refused.
 */
function takeIfKnown<TData>(
  saving: Saving<TData>,
  session: SessionState<TData>,
  mine: Json,
  row: SessionRow,
  call: string,
): Base | undefined {
  try {
    const stored = baseOfRow(row, saving.versions, call);
    take(saving, session, row.id, mine, stored, row.updatedAt);
    return stored;
  } catch (error) {
    if (!isWaymarkError(error) || error.code !== "STATE_TOO_NEW") throw error;
    return undefined;
  }
}

/** Objects that follow this session, and stand where the save began, are taken along. */
function takeAlong<TData>(
  saving: Saving<TData>,
  { session, id, messages }: PreparedTurn<TData>,
  from: Base | null,
  stored: Base,
  at: number,
): void {
  if (saving.followers === undefined || from === null || messages.length > 0) return;
  for (const follower of saving.followers.get(id) ?? []) {
    if (follower !== session && saving.shownVersions.meantBy(follower.version ?? "") === from.version)
      take(saving, follower, id, from.state, stored, at);
  }
}

/** Makes the object what its new version says, and remembers what the store holds for it. */
function take<TData>(
  { known, shownVersions }: Saving<TData>,
  session: SessionState<TData>,
  id: string,
  mine: Json,
  stored: Base,
  updatedAt: number,
): void {
  if (!jsonEqual(mine, stored.state)) {
    adopt(session, partsOf<TData>(mine, id), partsOf<TData>(stored.state, id));
  }
  session.version = shownVersions.shown(id, stored.version);
  if (session.metadata === undefined || Object.isFrozen(session.metadata))
    session.metadata = { ...session.metadata };
  if (stored.createdAt !== null) session.metadata.createdAt = new Date(stored.createdAt);
  session.metadata.updatedAt = new Date(updatedAt);
  known.set(session, stored);
}
