import type { Message, ToolCall } from "../contract/message.js";
import type { Usage } from "../session/response.js";
import type { Schema } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import type { Route, Step } from "./route.js";

/** What a turn is made of. */
export interface Turn<TData, TContext> {
  readonly agent: string;
  readonly provider: string;
  readonly instructions: string;
  readonly routes: readonly Route<TData, TContext>[];
  readonly schema: Schema | undefined;
  /** Changed as the turn goes on. */
  readonly draft: SessionState<TData>;
  readonly context: TContext;
  readonly updateContext: (next: TContext) => void;
  readonly history: readonly Message[];
  readonly stable: number | undefined;
}

/** What came of a turn, besides the changed draft. */
export interface Walked<TData> {
  readonly message: string;
  /** Where the answer was given. */
  readonly at: { readonly route?: string | undefined; readonly step?: string | undefined };
  readonly collected: Partial<TData>;
  readonly toolCalls: readonly ToolCall[];
  readonly completed?: string | undefined;
  readonly usage?: Usage | undefined;
}

/** Where the turn stands now. */
export interface Place<TData, TContext> {
  route?: Route<TData, TContext> | undefined;
  step?: Step<TData, TContext> | undefined;
  completed?: Route<TData, TContext> | undefined;
  /** Steps of the route that collect nothing and have been said and answered. */
  said: Set<string>;
}
