import { WaymarkError, isWaymarkError } from "../errors.js";
import { createLanes } from "../turn/lane.js";

/** Which call runs a hook. */
export interface HookCall {
  readonly operation: string;
  readonly sessionId: string;
  /** Numbers the calls in the order in which they were made. */
  readonly ticket: number;
}

/** A call on a session that may have no id: then it is told from others by its object. */
export interface ObjectCall extends Omit<HookCall, "sessionId"> {
  readonly sessionId: string | undefined;
  readonly session: object;
}

/** Runs hooks so that each ends. All throw `HOOK_FAILED`. */
export interface HookRunner {
  /** Before a write: one after the other for a session, in the order of the calls. */
  before(name: string, call: HookCall, hook: (signal: AbortSignal) => unknown): Promise<void>;
  /** The same, for somebody who has the session to himself already. */
  inTurn<T>(
    name: string,
    call: HookCall | ObjectCall,
    hook: (signal: AbortSignal) => T | Promise<T>,
  ): Promise<T>;
  /** At once, beside others. */
  beside(name: string, call: HookCall | ObjectCall, hook: (signal: AbortSignal) => unknown): Promise<void>;
}

/** More hooks of one session at once than any application has: each waits for the one that it began. */
const mostAtOnce = 1000;
const sessionsRemembered = 1000;
const longestTimer = 2 ** 31 - 1;

/**
 * @param lastTicket the newest call that was made.
 * @param consequence what becomes of a call when the hook of this name fails.
 */
export function createHookRunner(
  deadlineMs: number,
  lastTicket: () => number,
  consequence: (name: string) => string,
): HookRunner {
  const lanes = createLanes();
  const running = new Map<unknown, number>();
  /**
   * Calls up to this ticket were made while a hook of their session did not end, and it may be that it waited for them. If
   * they went on when it was given up, a hook that saves its own session each time would never let go of it.
   */
  const givenUp = new Map<unknown, number>();

  async function run<T>(
    name: string,
    call: HookCall | ObjectCall,
    hook: (signal: AbortSignal) => T | Promise<T>,
    isInTurn: boolean,
  ): Promise<T> {
    const { operation, sessionId, ticket } = call;
    const key = sessionId ?? ("session" in call ? call.session : undefined);
    const fail = (why: string, cause?: unknown) =>
      new WaymarkError("HOOK_FAILED", `${operation}: ${name} ${why}; ${consequence(name)}`, {
        ...{ operation, sessionId },
        ...(cause === undefined ? {} : { cause }),
      });
    if (isInTurn && ticket <= (givenUp.get(key) ?? 0))
      throw fail(
        "was not called, since a hook of an earlier call did not end: it may have waited for this one",
      );
    // A hook that begins the next call at once would otherwise do so on one stack.
    await Promise.resolve();
    const count = (running.get(key) ?? 0) + 1;
    if (count > mostAtOnce)
      throw fail(`was called ${mostAtOnce} times at once: each may have begun the next`);
    running.set(key, count);
    const stop = new AbortController();
    const ms = Math.min(deadlineMs, longestTimer);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        if (isInTurn) giveUp(key);
        const error = fail(`did not end within ${ms} ms: it may wait for a call on its own session`);
        stop.abort(error);
        reject(error);
      }, ms);
    });
    try {
      return await Promise.race([hook(stop.signal), late]);
    } catch (cause) {
      if (stop.signal.aborted) throw stop.signal.reason;
      const kind = isWaymarkError(cause) ? cause.code : cause instanceof Error ? cause.name : typeof cause;
      throw fail(`failed [${kind}]`, cause);
    } finally {
      clearTimeout(timer);
      const left = (running.get(key) ?? 1) - 1;
      if (left === 0) running.delete(key);
      else running.set(key, left);
    }
  }

  function giveUp(key: unknown): void {
    givenUp.delete(key);
    givenUp.set(key, lastTicket());
    const oldest = givenUp.size > sessionsRemembered ? givenUp.keys().next().value : undefined;
    if (oldest !== undefined) givenUp.delete(oldest);
  }

  const inTurn: HookRunner["inTurn"] = (name, call, hook) => run(name, call, hook, true);
  return {
    before: (name, call, hook) =>
      lanes.run(call.sessionId, () => inTurn(name, call, async (signal) => void (await hook(signal)))),
    inTurn,
    beside: (name, call, hook) => run(name, call, async (signal) => void (await hook(signal)), false),
  };
}
