import type { ToolCall } from "../contract/message.js";
import type { SavedTurn } from "../persistence/options.js";
import type { SessionState } from "../state/session.js";

/** Tokens that a turn used, all calls of the model together. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What came of one turn. */
export interface AgentResponse<TData = Record<string, unknown>> {
  /** What the agent says. */
  readonly message: string;
  /** The state after the turn: the same object that was passed in. */
  readonly session: SessionState<TData>;
  /** What was collected in this turn, as the schema gave it. */
  readonly collected: Partial<TData>;
  readonly toolCalls: readonly ToolCall[];
  /** The route that was completed in this turn. */
  readonly completed?: string;
  /** Present where the provider reports it. */
  readonly usage?: Usage;
  /** What was stored; absent where nothing was. */
  readonly saved?: SavedTurn;
}
