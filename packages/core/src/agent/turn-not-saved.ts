import { WaymarkError, isWaymarkError } from "../errors.js";
import type { SavedTurn, TurnInput } from "../persistence/options.js";
import type { AgentResponse } from "../session/response.js";

/** What another try may decide anew. */
export type SaveOptions<TData> = Pick<TurnInput<TData>, "conflict" | "reopen" | "signal">;

/**
 * The model answered and the turn could not be stored, or a hook after that failed (`TURN_NOT_SAVED`); `cause` says why,
 * `retryable` whether the same try may succeed. `response` is complete. Unless it says `saved`, its session has the changes of
 * the turn, with the version of before: it is ahead of the store, and no other save can take it for stored.
 *
 * What to do depends on the cause:
 *
 * - A passing failure (`retryable`): call `save()`. It sends the same operation, so that a first try that was stored after
 *   all is found and nothing is stored twice. Until then, leave the session as it is.
 * - `SESSION_CONFLICT`: somebody else took a turn on the same session. Show the answer nowhere, load the session and its
 *   history anew and respond again, so that the model answers what is stored now; or decide who is right with
 *   `save({ conflict: ({ mine, theirs }) => … })`.
 * - `SESSION_CLOSED`: `save({ reopen: true })` goes on with the session.
 * - `HOOK_FAILED`: the cause says which hook. Where it is `afterSave`, the turn itself is stored, and `save()` finds it and calls
 *   the hook again. Where it is one of the agent's own, all is stored that is to be (`response.saved`), and `save()` only calls
 *   the hook again.
 * - Anything else names what has to change first. `response.collected` has what would be lost.
 *
 * A session handle holds no state: after this error its next `chat` goes on from what is stored.
 */
export class TurnNotSavedError<TData = unknown> extends WaymarkError {
  /** All that the turn gave; `saved` where the turn is stored and only a hook of the agent failed. */
  readonly response: AgentResponse<TData>;
  readonly #again: (options: SaveOptions<TData>) => Promise<AgentResponse<TData>>;
  #saving: Promise<AgentResponse<TData>> | undefined;

  constructor(
    response: AgentResponse<TData>,
    cause: unknown,
    again: (options: SaveOptions<TData>) => Promise<AgentResponse<TData>>,
    what = "the turn was not stored",
  ) {
    const why = isWaymarkError(cause) ? cause.code : cause instanceof Error ? cause.name : typeof cause;
    super(
      "TURN_NOT_SAVED",
      `respond: the model answered, but ${what} [${why}]; see \`cause\` and \`save()\``,
      {
        operation: "respond",
        sessionId: response.session.id,
        retryable: isWaymarkError(cause) ? cause.retryable : true,
        cause,
      },
    );
    this.response = response;
    this.#again = again;
  }

  /**
   * Tries to store the same turn again, as the same operation, and calls the hooks that were not called or failed.
   * @returns the response, with `saved` where it is stored. @throws TurnNotSavedError if it fails again
   */
  save(options: SaveOptions<TData> = {}): Promise<AgentResponse<TData>> {
    // One try at a time, and none after one that stored the turn: what was saved has changed the object.
    this.#saving ??= this.#again(options).catch((error: unknown) => {
      this.#saving = undefined;
      throw error;
    });
    return this.#saving;
  }
}

/** A turn that the model has answered, and what is left to be done with it. */
export interface Answered<TData> {
  readonly response: AgentResponse<TData>;
  store(options: SaveOptions<TData>): Promise<SavedTurn>;
  /** Hooks that are called with what was stored. */
  readonly after: ((response: AgentResponse<TData>) => Promise<void>) | undefined;
}

/** @returns the response, with what was stored. @throws TurnNotSavedError */
export async function storeAnswer<TData>(
  answered: Answered<TData>,
  options: SaveOptions<TData>,
): Promise<AgentResponse<TData>> {
  const { response, after } = answered;
  try {
    return { ...response, saved: await answered.store(options) };
  } catch (error) {
    let stored: AgentResponse<TData> | undefined;
    throw new TurnNotSavedError(response, error, async (again) => {
      // Not once more where only a hook after it failed: what was saved has changed the object.
      stored ??= await storeAnswer(answered, again);
      await finishAnswer(stored, after);
      return stored;
    });
  }
}

/** Calls what comes after. @param response as it was stored. @throws TurnNotSavedError */
export async function finishAnswer<TData>(
  response: AgentResponse<TData>,
  after: Answered<TData>["after"],
): Promise<void> {
  try {
    await after?.(response);
  } catch (error) {
    const again = async () => {
      await finishAnswer(response, after);
      return response;
    };
    throw new TurnNotSavedError(response, error, again, "a hook of the agent failed");
  }
}
