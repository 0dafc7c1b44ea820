import type { Message } from "../contract/message.js";
import type { SessionState } from "../state/session.js";
import type { StandardSchemaV1 } from "../state/standard-schema.js";

/** The names of the fields that the schema has. */
export type FieldName<TData> = Extract<keyof TData, string>;

/** What conditions and callbacks are given. */
export interface RouteContext<TData, TContext> {
  /** What has been collected: the same object as `session.data`. */
  readonly data: Partial<TData>;
  readonly session: SessionState<TData>;
  /** The `context` of the call, or of the agent. */
  readonly context: TContext;
  /** What was said, the message that is being answered last. */
  readonly history: readonly Message[];
}

/** What `onComplete` is given. */
export interface CompletionContext<TData, TContext> extends RouteContext<TData, TContext> {
  /**
   * Gives the turn another context, for the agent's `onContextUpdate` and `afterRespond`. A later turn begins with the context
   * that it is given: what has to last is for `onContextUpdate` to store, and for `beforeRespond` to load.
   */
  updateContext(next: TContext): void;
}

/** A condition. It is asked often, so it has to be quick and to change nothing. */
export type Condition<TData, TContext> = (context: RouteContext<TData, TContext>) => boolean;

/** Where a step goes on. */
export interface Branch<TData, TContext> {
  /** Default: always. */
  readonly when?: Condition<TData, TContext>;
  /** Id of a later step of the route; null ends the route. */
  readonly to: string | null;
}

/**
 * One thing that the agent asks or says. A step with `collect` is done when each of its fields is known, so that it is
 * passed over where an earlier message has answered it; a step without is done when the person has answered it, and at the
 * end of a route as soon as it has been said.
 */
export interface Step<TData, TContext> {
  /** Unique in its route. */
  readonly id: string;
  readonly title?: string;
  /** What the model is to ask or say here. */
  readonly prompt: string;
  /** Fields that this step asks for. */
  readonly collect?: readonly FieldName<TData>[];
  /** Passes the step over. */
  readonly skipWhen?: Condition<TData, TContext>;
  /** The first branch that applies is taken. Default, also where none applies: the following step. */
  readonly next?: readonly Branch<TData, TContext>[];
}

/**
 * A way through a conversation. A session stands in one route at a time; a route that was left goes on where it stood, and
 * one that was completed does not begin again in the same session.
 */
export interface Route<TData, TContext> {
  /** Unique in its agent. */
  readonly id: string;
  readonly title?: string;
  /** What the route is for, told to the model so that it can choose. */
  readonly description?: string;
  /**
   * Whether the route can be entered: a function decides by itself, a text is told to the model. A route that is the only
   * one to choose is entered without asking, unless its condition is a text.
   */
  readonly when?: string | Condition<TData, TContext>;
  readonly steps: readonly Step<TData, TContext>[];
  /**
   * Checks `data` as a whole when the last field is collected, for what no field can say by itself, such as that one date comes after
   * another. What it gives back is not used. Where it refuses, the route is not completed: the fields that its issues name are
   * forgotten, or where they name none of the route, those of the last step that collects, and the model is told of the values
   * and what is wrong with them, so that it asks again.
   */
  readonly check?: StandardSchemaV1;
  /**
   * Called when the last step is done and the model has answered, before the turn is stored; what it changes in the session
   * is stored with the turn. If it throws, the turn fails and the session is as before, but for what it changed inside of
   * nested values. It is called again if the turn is taken again, so what it does elsewhere has to bear that.
   *
   * It runs inside the turn: waiting in it for another call on the same session (`chat`, `delete`) waits for ever.
   */
  readonly onComplete?: (context: CompletionContext<TData, TContext>) => void | Promise<void>;
}
