import type { Message, ToolCall } from "../contract/message.js";
import type { Usage } from "../session/response.js";

/** A route that the model may choose. */
export interface OfferedRoute {
  readonly id: string;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  /** In words, when this route is the right one. */
  readonly when?: string | undefined;
}

/** A step, as the model is told of it. */
export interface OfferedStep {
  readonly id: string;
  readonly title?: string | undefined;
  /** What to ask or say. */
  readonly prompt: string;
  readonly collect: readonly string[];
}

/** A field that the model may fill from what was said. */
export interface OfferedField {
  readonly name: string;
  /** The present value; absent where it is not known. A new value is a correction. */
  readonly known?: unknown;
}

/** A value that was not accepted in this turn. */
export interface RefusedValue {
  readonly field: string;
  readonly value: unknown;
  /** In the words of the schema. */
  readonly problems: readonly string[];
}

/** All that a model needs to know for one answer. Plain data. */
export interface ModelRequest {
  /** Name of the agent. */
  readonly agent: string;
  readonly instructions: string;
  /** What was said, oldest first; the last message is the one to answer. */
  readonly history: readonly Message[];
  /**
   * Present where the agent has `promptCaching`: the `instructions`, and the first `history` messages of the history, begin
   * the next turn of the session too, the same to the byte. A provider that puts them before all else of the request can put
   * its vendor's cache mark behind them.
   */
  readonly stable?: { readonly history: number };
  /** Routes that can be entered now, the present one among them. */
  readonly routes: readonly OfferedRoute[];
  /** The present route; absent where none has been chosen. */
  readonly route?: OfferedRoute;
  /** The present step: what to say now. Absent outside of routes. */
  readonly step?: OfferedStep;
  /** The steps after it, as they are declared; which of them will be asked depends on what is collected. */
  readonly later: readonly OfferedStep[];
  /** Fields to look for: of the present route, or of all that can be entered. */
  readonly fields: readonly OfferedField[];
  /** Values of this turn that were refused: say what is wrong and ask again. */
  readonly refused: readonly RefusedValue[];
  /** The route that was completed in this turn: say so, and do not ask for more. */
  readonly completed?: OfferedRoute;
}

/** What a model answers. */
export interface ModelReply {
  readonly message: string;
  /** Id of the route that the conversation belongs to; absent or null: no change. */
  readonly route?: string | null | undefined;
  /** Fields found in what was said. Names that the route does not collect are ignored. */
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  /**
   * The step that the message speaks for, where it is not the one of the request; null: it closes the route. A model that
   * foresees where its data leads says so here, and is not asked a second time.
   */
  readonly step?: string | null | undefined;
  /** Kept with the message. */
  readonly toolCalls?: readonly ToolCall[] | undefined;
  readonly usage?: Usage | undefined;
}

/** A language model, or anything that answers like one. */
export interface Provider {
  /** For errors: `openai`, `scripted`. */
  readonly name: string;
  /**
   * Answers one request. Stop when `signal` is aborted: nobody waits for the answer any more. May be called several times
   * in a turn, each time with the same history, so that it finds the same data again; and for many sessions at once.
   */
  generate(request: ModelRequest, options: { readonly signal: AbortSignal }): Promise<ModelReply>;
}
