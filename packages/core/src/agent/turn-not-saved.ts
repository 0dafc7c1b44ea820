import { WaymarkError, isWaymarkError } from "../errors.js";
import type { SavedTurn, TurnInput } from "../persistence/options.js";
import type { AgentResponse } from "../session/response.js";

/** What another try may decide anew. */
export type SaveOptions<TData> = Pick<TurnInput<TData>, "conflict" | "reopen" | "signal">;

/**
 * The model answered and the turn could not be stored (`TURN_NOT_SAVED`); `cause` says why, `retryable` whether the same
 * try may succeed. `response` is complete and its session has the changes of the turn, with the version of before: it is
 * ahead of the store, and no other save can take it for stored.
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
 *   the hook again.
 * - Anything else names what has to change first. `response.collected` has what would be lost.
 *
 * A session handle holds no state: after this error its next `chat` goes on from what is stored.
 */
export class TurnNotSavedError<TData = unknown> extends WaymarkError {
  /** All that the turn gave, except `saved`. */
  readonly response: AgentResponse<TData>;
  readonly #save: (options: SaveOptions<TData>) => Promise<SavedTurn>;
  #saving: Promise<AgentResponse<TData>> | undefined;

  constructor(
    response: AgentResponse<TData>,
    cause: unknown,
    save: (options: SaveOptions<TData>) => Promise<SavedTurn>,
  ) {
    const why = isWaymarkError(cause) ? cause.code : cause instanceof Error ? cause.name : typeof cause;
    super(
      "TURN_NOT_SAVED",
      `respond: the model answered, but the turn was not stored [${why}]; see \`cause\` and \`save()\``,
      {
        operation: "respond",
        sessionId: response.session.id,
        retryable: isWaymarkError(cause) ? cause.retryable : true,
        cause,
      },
    );
    this.response = response;
    this.#save = save;
  }

  /**
   * Tries to store the same turn again, as the same operation.
   * @returns the response, with `saved`. @throws TurnNotSavedError if it fails again
   */
  save(options: SaveOptions<TData> = {}): Promise<AgentResponse<TData>> {
    // One try at a time, and none after one that stored the turn: what was saved has changed the object.
    this.#saving ??= saveResponse(this.response, this.#save, options).catch((error: unknown) => {
      this.#saving = undefined;
      throw error;
    });
    return this.#saving;
  }
}

/** Stores a turn that the model has answered. @throws TurnNotSavedError */
export async function saveResponse<TData>(
  response: AgentResponse<TData>,
  save: (options: SaveOptions<TData>) => Promise<SavedTurn>,
  options: SaveOptions<TData>,
): Promise<AgentResponse<TData>> {
  let saved: SavedTurn;
  try {
    saved = await save(options);
  } catch (error) {
    throw new TurnNotSavedError(response, error, save);
  }
  return { ...response, saved };
}
