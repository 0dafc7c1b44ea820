import type { Message } from "../contract/message.js";
import { type Followers, following } from "../persistence/follow.js";
import { type ObjectCall, createHookRunner } from "../persistence/hook-runner.js";
import { checkHooks } from "../persistence/hooks.js";
import type { AgentResponse } from "../session/response.js";
import type { SessionState } from "../state/session.js";
import { checkSignal } from "./ask.js";

/** The turn that a hook is called for. */
export interface HookedTurn<TData = unknown> {
  /** The state that the turn works on. What `beforeRespond` and `onContextUpdate` change in it is part of the turn. */
  readonly session: SessionState<TData>;
  /** What was said, the message that is being answered last. */
  readonly history: readonly Message[];
  /** Owner of the session, where there is one. */
  readonly userId?: string | undefined;
  /** Aborted when the hook has taken too long; before the model is asked, also by the signal of the call. */
  readonly signal: AbortSignal;
}

/**
 * Functions that are called around each turn of an agent, and waited for. Each may take as long as `deadlineMs` of the
 * persistence says (10,000 ms by default); that time is not the model's.
 *
 * All may save, update and add messages to the session of the turn through the agent's persistence manager: the turn does not
 * conflict with what they save. Hooks before the model is asked may not wait for another turn, or for a call of a handle, of
 * the same session: that would wait for them, until they are given up. Hooks after it may.
 */
export interface AgentHooks<TData, TContext> {
  /**
   * Called before the model is asked; a session that is new is stored by then. What it returns is the context of this turn;
   * nothing, or undefined, leaves the context as it is. If it fails, so does the call, with `HOOK_FAILED`: the model is not
   * asked.
   */
  readonly beforeRespond?:
    | ((
        context: TContext,
        turn: HookedTurn<TData>,
      ) => NoInfer<TContext> | undefined | void | Promise<NoInfer<TContext> | undefined | void>)
    | undefined;
  /**
   * Called when the context has become another object (or another value): at once for what `beforeRespond` returned, which
   * fails the call as `beforeRespond` does; for what `updateContext` in a turn said, once the turn is stored, as `afterRespond`.
   */
  readonly onContextUpdate?:
    ((next: TContext, previous: TContext, turn: HookedTurn<TData>) => void | Promise<void>) | undefined;
  /**
   * Called with the answer when the turn is stored, or would be if the session were. If it fails, the answer is not lost: the
   * call throws a TurnNotSavedError whose `response` has it, and whose `save()` calls the hook again.
   */
  readonly afterRespond?:
    | ((response: AgentResponse<TData>, context: TContext, turn: HookedTurn<TData>) => void | Promise<void>)
    | undefined;
}

/** The hooks of an agent, ready to run. */
export interface TurnHooks<TData, TContext> {
  /** Numbers a call, when it is made. */
  ticket(): number;
  /** The context of the turn. @throws `HOOK_FAILED`, `ABORTED` */
  before(turn: HookCaller<TData, TContext>): Promise<TContext>;
  /** What is to be called with the answer, again if it failed; undefined: nothing. It throws `HOOK_FAILED`. */
  after(
    turn: HookCaller<TData, TContext>,
    next: TContext,
  ): ((response: AgentResponse<TData>) => Promise<void>) | undefined;
}

/** What is known of a turn when its hooks are called. */
export interface HookCaller<TData, TContext> {
  readonly session: SessionState<TData>;
  readonly history: readonly Message[];
  readonly context: TContext;
  readonly userId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly ticket?: number | undefined;
}

const hookNames: Record<keyof AgentHooks<unknown, unknown>, true> = {
  beforeRespond: true,
  onContextUpdate: true,
  afterRespond: true,
};

/** @throws ValidationError `INVALID_CONFIGURATION` */
export function checkAgentHooks(hooks: object): void {
  checkHooks(hooks, hookNames, "new Agent");
}

/** @param options.followers those of the agent's persistence manager. */
export function createTurnHooks<TData, TContext>(
  { beforeRespond, onContextUpdate, afterRespond }: AgentHooks<TData, TContext>,
  options: {
    readonly deadlineMs: number;
    readonly userId: string | undefined;
    readonly followers: Followers<TData>;
  },
): TurnHooks<TData, TContext> {
  const { deadlineMs, followers } = options;
  let lastTicket = 0;
  const asked = createHookRunner(
    deadlineMs,
    () => lastTicket,
    () => "the model was not asked",
  );
  const answered = createHookRunner(
    deadlineMs,
    () => lastTicket,
    () => "the model has answered, and the turn is taken",
  );

  function toldOf(turn: HookCaller<TData, TContext>, signal: AbortSignal): HookedTurn<TData> {
    const { session, history, userId = options.userId } = turn;
    return { session, history, userId, signal };
  }

  return {
    ticket: () => ++lastTicket,

    async before(turn) {
      const { session, context, signal } = turn;
      if (beforeRespond === undefined) return context;
      const call = callOf(turn);
      return following(followers, session, async () => {
        try {
          const given = await asked.inTurn("beforeRespond", call, (late) =>
            unlessAborted(signal, late, async (stop) => beforeRespond(context, toldOf(turn, stop))),
          );
          const next = given === undefined ? context : given;
          if (onContextUpdate !== undefined && !Object.is(next, context))
            await asked.inTurn("onContextUpdate", call, (late) =>
              unlessAborted(signal, late, async (stop) => onContextUpdate(next, context, toldOf(turn, stop))),
            );
          return next;
        } catch (error) {
          checkSignal(signal, session.id);
          throw error;
        }
      });
    },

    after(turn, next) {
      const { session, context } = turn;
      let isTold = onContextUpdate === undefined || Object.is(next, context);
      if (isTold && afterRespond === undefined) return undefined;
      const call = callOf(turn);
      return (response) =>
        following(followers, session, async () => {
          if (!isTold)
            await answered.beside("onContextUpdate", call, (late) =>
              onContextUpdate?.(next, context, toldOf(turn, late)),
            );
          isTold = true;
          if (afterRespond !== undefined)
            await answered.beside("afterRespond", call, (late) =>
              afterRespond(response, next, toldOf(turn, late)),
            );
        });
    },
  };
}

function callOf<TData, TContext>({ session, ticket = 0 }: HookCaller<TData, TContext>): ObjectCall {
  return { operation: "respond", sessionId: session.id, session, ticket };
}

/** Stops waiting when the caller does not want the turn any more. @param late aborted when the hook takes too long. */
async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  late: AbortSignal,
  hook: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal === undefined) return hook(late);
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([hook(AbortSignal.any([late, signal])), aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
