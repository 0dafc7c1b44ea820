import { checkId } from "../contract/id.js";
import type { Message } from "../contract/message.js";
import { ValidationError } from "../errors.js";
import { PersistenceManager } from "../persistence/manager.js";
import type { Followers } from "../persistence/follow.js";
import { type PersistenceOptions, defaultDeadlineMs } from "../persistence/options.js";
import type { ChatOptions, TakenTurn } from "../session/conversation.js";
import { createEvents } from "../session/events.js";
import { type SessionHandle, createHandle } from "../session/handle.js";
import { memoryConversation } from "../session/memory.js";
import type { AgentResponse } from "../session/response.js";
import { storedConversation } from "../session/stored.js";
import { type Migration, schemaVersions } from "../state/migrate.js";
import type { InferData, Schema } from "../state/schema.js";
import { type SessionState, createSession } from "../state/session.js";
import { createLanes } from "../turn/lane.js";
import { checkRoutes } from "./check-routes.js";
import { type AgentHooks, checkAgentHooks, createTurnHooks } from "./hooks.js";
import type { Provider } from "./provider.js";
import { type AgentParts, type TurnRequest, checkHistory, respond } from "./respond.js";
import type { Route } from "./route.js";

/** How an agent is made. */
export interface AgentOptions<S extends Schema, TContext> {
  readonly name: string;
  /** Told to the model with every question. */
  readonly instructions?: string;
  readonly provider: Provider;
  /** Given to hooks, conditions and callbacks; a call of `respond` may bring its own. */
  readonly context?: TContext;
  /** The fields that can be collected, each with its schema. Without it any field can be, and none is checked. */
  readonly schema?: S;
  /** Stored with each state. Raise it when what is stored has to change, and give a migration. Default: 1. */
  readonly schemaVersion?: number;
  /** For each version before the present one, from 1, the function that leads on to the next. */
  readonly migrations?: Readonly<Record<number, Migration>>;
  /** Default: none, for an agent that only talks. */
  readonly routes?: readonly Route<InferData<S>, TContext>[];
  /** Functions that are called around each turn. */
  readonly hooks?: AgentHooks<InferData<S>, TContext>;
  readonly persistence?: PersistenceOptions<InferData<S>>;
  /** The session of `agent.chat`. Default: one that lives in this agent only. */
  readonly sessionId?: string;
  /** How many messages `chat` shows to the model, 1 to 1,000. Default: 50. */
  readonly historyLimit?: number;
  /**
   * Tells the provider which leading part of a request the next turn of the session repeats (`stable`), so that it can have its
   * vendor cache it. `chat` then shows the model between half of `historyLimit` and all of it, so that the first message
   * shown stays the first for many turns. Default: false.
   */
  readonly promptCaching?: boolean;
}

/** One turn of a session that the application holds. */
export interface RespondOptions<TData, TContext> {
  /** What was said, oldest first; its last message is answered, and stored unless it has a `sequence`. */
  readonly history: readonly Message[];
  /** Changed in place when the turn succeeds; as it was when the model fails. */
  readonly session: SessionState<TData>;
  /** Default: the agent's. */
  readonly context?: TContext;
  readonly signal?: AbortSignal | undefined;
  /** How long the model may take, all its answers of this turn together, in milliseconds. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Whether the turn is stored. Default: `autoSave` of the persistence, where there is one and the session has an id. */
  readonly save?: boolean | undefined;
  /** Owner of the session. Default: that of the persistence. */
  readonly userId?: string | undefined;
}

/** An agent whose callbacks expect a context has to be given one. */
export type ContextGiven<TContext> = undefined extends TContext ? unknown : { readonly context: TContext };

const defaultHistoryLimit = 50;

/**
 * Leads conversations along routes, collects typed data, and stores each turn.
 *
 * An agent has no current session: `respond` and `session(id)` may be used for any number of people at once. Only `chat` is
 * for one.
 */
export class Agent<S extends Schema = Schema, TContext = undefined> {
  readonly name: string;
  readonly #options: AgentOptions<S, TContext>;
  readonly #parts: AgentParts<InferData<S>, TContext>;
  readonly #manager: PersistenceManager<InferData<S>> | undefined;
  readonly #lanes = createLanes();
  readonly #followers: Followers<InferData<S>> = new Map();
  readonly #context: TContext;
  #defaultStore: Promise<PersistenceManager<InferData<S>>> | undefined;
  #own: SessionHandle<InferData<S>> | undefined;

  /** @throws ValidationError `INVALID_CONFIGURATION` when it cannot work as it is set up, `INVALID_ID` */
  constructor(options: AgentOptions<S, TContext> & ContextGiven<TContext>);
  // Where the first signature lets the context be absent, `undefined` is a context.
  constructor(options: AgentOptions<S, TContext> & { readonly context: TContext }) {
    checkOptions(options);
    const { name, instructions = "", provider, routes = [], schema, hooks, persistence } = options;
    const { deadlineMs = defaultDeadlineMs, userId } = persistence ?? {};
    this.name = name;
    this.#options = options;
    this.#context = options.context;
    this.#parts = {
      ...{ name, instructions, provider, routes, schema },
      hooks: hooks && createTurnHooks(hooks, { deadlineMs, userId, followers: this.#followers }),
    };
    if (persistence !== undefined) this.#manager = this.#createManager(persistence);
  }

  /** A new session, not stored yet, typed by the agent's schema. */
  createSession(init: Parameters<typeof createSession<InferData<S>>>[0] = {}): SessionState<InferData<S>> {
    return createSession<InferData<S>>(init);
  }

  /**
   * Answers the last message of a history. With persistence and a session that has an id, the turn is stored before the
   * answer is given: state, message and answer, all or none. A state that is not stored yet is created before the model is
   * asked, and stays, empty, if the model fails. A state without an id is not stored.
   *
   * Turns on one state object run one after the other, so do not call it from a callback of the same turn.
   *
   * @throws `SESSION_EXISTS` when the state is new and its id is taken; `MODEL_FAILED`, `MODEL_TIMEOUT`, `MODEL_INVALID`
   * and `ABORTED` with the session as before; TurnNotSavedError when the model answered and the turn could not be stored.
   */
  async respond(options: RespondOptions<InferData<S>, TContext>): Promise<AgentResponse<InferData<S>>> {
    const { session, history } = options;
    if (typeof session !== "object" || session === null)
      throw invalid("respond", "`session` must be a session state");
    checkHistory(history);
    const stable = this.#options.promptCaching === true ? Math.max(0, history.length - 1) : undefined;
    const turn = { ...options, stable, ticket: this.#ticket() };
    const { response, finish } = await this.#take(turn, this.#managerFor(options));
    await finish?.();
    return response;
  }

  /**
   * A handle of the session with this id: stored by the agent's persistence, or where there is none, in files. Without an
   * id, a new conversation in memory. A handle always stores its turns, whatever `autoSave` says.
   * @param options.userId owner of the session. Default: that of the persistence. @throws `INVALID_ID`
   */
  session(id?: string, options: { userId?: string } = {}): SessionHandle<InferData<S>> {
    const { historyLimit = defaultHistoryLimit, promptCaching: isStable = false } = this.#options;
    const ticket = () => this.#ticket();
    const { schema, schemaVersion, migrations } = this.#options;
    const events = createEvents();
    if (id === undefined) {
      const conversation = memoryConversation({
        ...{ historyLimit, isStable, schema, agentName: this.name },
        versions: schemaVersions(schemaVersion, migrations, "session"),
        takeTurn: (turn) => this.#take(turn, undefined),
      });
      return createHandle(conversation, events, createLanes(), ticket);
    }
    const conversation = storedConversation(
      {
        ...{ id, userId: options.userId, historyLimit, isStable },
        manager: () => this.#store(),
        takeTurn: async (turn) => this.#take(turn, await this.#store()),
      },
      events,
    );
    return createHandle(conversation, events, this.#lanes, ticket);
  }

  /**
   * Says something in the agent's own session: the one named by `sessionId`, kept by the agent's persistence or in files;
   * without `sessionId`, one in memory that ends with the agent. For one agent that serves one person.
   */
  async chat(text: string, options: ChatOptions = {}): Promise<AgentResponse<InferData<S>>> {
    this.#own ??= this.session(this.#options.sessionId);
    return this.#own.chat(text, options);
  }

  /** Whether the agent was given `persistence`. */
  hasPersistence(): boolean {
    return this.#manager !== undefined;
  }

  /** @throws ValidationError `INVALID_CONFIGURATION` when the agent was given no `persistence` */
  getPersistenceManager(): PersistenceManager<InferData<S>> {
    if (this.#manager !== undefined) return this.#manager;
    throw misconfigured(
      "getPersistenceManager",
      "this agent has no `persistence`; ask `hasPersistence()` first",
    );
  }

  #take(
    request: Omit<TurnRequest<InferData<S>, TContext>, "context"> & { readonly context?: TContext },
    manager: PersistenceManager<InferData<S>> | undefined,
  ): Promise<TakenTurn<InferData<S>>> {
    const context = request.context === undefined ? this.#context : request.context;
    return respond(this.#parts, { ...request, context }, manager);
  }

  #ticket(): number | undefined {
    return this.#parts.hooks?.ticket();
  }

  #managerFor({
    save,
    session,
  }: RespondOptions<InferData<S>, TContext>): PersistenceManager<InferData<S>> | undefined {
    if (save === true && this.#manager === undefined) {
      throw misconfigured("respond", "`save` needs an agent with `persistence`");
    }
    if (save === true && session.id === undefined)
      throw invalid("respond", "`save` needs a session with an `id`");
    const isWanted = save ?? this.#manager?.autoSave;
    return isWanted === true && session.id !== undefined ? this.#manager : undefined;
  }

  /** The agent's persistence, or the file store; loaded only when a session is to be kept in it. */
  async #store(): Promise<PersistenceManager<InferData<S>>> {
    if (this.#manager !== undefined) return this.#manager;
    this.#defaultStore ??= this.#openDefaultStore().catch((error: unknown) => {
      this.#defaultStore = undefined;
      throw error;
    });
    return this.#defaultStore;
  }

  async #openDefaultStore(): Promise<PersistenceManager<InferData<S>>> {
    const { FileAdapter } = await import("#default-store");
    return this.#createManager({ adapter: new FileAdapter() });
  }

  #createManager(persistence: PersistenceOptions<InferData<S>>): PersistenceManager<InferData<S>> {
    const { schema, schemaVersion, migrations } = this.#options;
    const state = { schema, schemaVersion, migrations, followers: this.#followers };
    return new PersistenceManager<InferData<S>>({ ...persistence, ...state, agentName: this.name });
  }
}

function checkOptions<S extends Schema, TContext>(options: AgentOptions<S, TContext>): void {
  const { name, provider, routes = [], schema, schemaVersion, migrations, sessionId, hooks } = options;
  const { historyLimit = defaultHistoryLimit } = options;
  if (typeof name !== "string" || name === "") throw misconfigured("new Agent", "`name` must be a text");
  if (typeof provider?.generate !== "function") {
    throw misconfigured("new Agent", "`provider` must have a method `generate`");
  }
  if (!Number.isInteger(historyLimit) || historyLimit < 1 || historyLimit > 1000) {
    throw misconfigured("new Agent", "`historyLimit` must be an integer from 1 to 1000");
  }
  if (hooks !== undefined) checkAgentHooks(hooks);
  checkRoutes(routes, schema);
  schemaVersions(schemaVersion, migrations, "new Agent");
  if (sessionId !== undefined) checkId(sessionId, "new Agent");
}

function misconfigured(operation: string, message: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `${operation}: ${message}`, { operation });
}

function invalid(operation: string, message: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `${operation}: ${message}`, { operation });
}
