import type { Message } from "../contract/message.js";
import { ValidationError, isWaymarkError } from "../errors.js";
import type { PersistenceManager } from "../persistence/manager.js";
import { messageProblems } from "../persistence/messages.js";
import type { TurnInput } from "../persistence/options.js";
import type { TakenTurn } from "../session/conversation.js";
import type { AgentResponse } from "../session/response.js";
import type { Schema } from "../state/schema.js";
import type { SessionState } from "../state/session.js";
import { randomId } from "../turn/environment.js";
import { checkSignal, withModel } from "./ask.js";
import { applyDraft, draftOf } from "./draft.js";
import type { HookCaller, TurnHooks } from "./hooks.js";
import type { Provider } from "./provider.js";
import type { Route } from "./route.js";
import { type SaveOptions, finishAnswer, storeAnswer } from "./turn-not-saved.js";
import type { Walked } from "./turn.js";
import { walk } from "./walk.js";

/** The parts of an agent that a turn needs. */
export interface AgentParts<TData, TContext> {
  readonly name: string;
  readonly instructions: string;
  readonly provider: Provider;
  readonly routes: readonly Route<TData, TContext>[];
  readonly schema: Schema | undefined;
  readonly hooks: TurnHooks<TData, TContext> | undefined;
}

/** One turn to take. */
export interface TurnRequest<TData, TContext> extends HookCaller<TData, TContext> {
  readonly timeoutMs?: number | undefined;
  /** How many messages of the history the next turn shows again; undefined: nobody wants to know. */
  readonly stable?: number | undefined;
}

const turnsOf = new WeakMap<object, Promise<unknown>>();
const creations = new WeakMap<object, string>();

/**
 * Takes a turn, and stores it where there is a manager. Turns on one state object run one after the other: each starts from
 * what the one before it made of the object.
 */
export function respond<TData, TContext>(
  agent: AgentParts<TData, TContext>,
  request: TurnRequest<TData, TContext>,
  manager: PersistenceManager<TData> | undefined,
): Promise<TakenTurn<TData>> {
  const { session } = request;
  const before = turnsOf.get(session) ?? Promise.resolve();
  // The application may go on writing to its array while the model thinks.
  const turn = { ...request, history: [...request.history] };
  const take = () => takeTurn(agent, turn, manager);
  const result = before.then(take, take);
  turnsOf.set(session, result);
  return result;
}

async function takeTurn<TData, TContext>(
  agent: AgentParts<TData, TContext>,
  request: TurnRequest<TData, TContext>,
  manager: PersistenceManager<TData> | undefined,
): Promise<TakenTurn<TData>> {
  const { session, history, signal, timeoutMs, userId, stable } = request;
  const { hooks } = agent;
  checkSignal(signal, session.id);
  if (manager !== undefined && session.id !== undefined && session.version === undefined) {
    // Before the model is asked: an answer to a session that turns out to be taken would be lost work.
    await create(manager, session, session.id, { userId, signal });
  }
  const askedAt = new Date();
  let context = hooks === undefined ? request.context : await hooks.before(request);
  const turn = { ...request, context };
  const updateContext = (next: TContext) => void (context = next);
  const from = { route: session.currentRoute?.id, step: session.currentStep?.id };
  const base = draftOf(session);
  const draft = draftOf(session);
  const walked = await withModel(agent.provider, { signal, timeoutMs, sessionId: session.id }, (ask) =>
    walk(
      {
        ...{ ...agent, agent: agent.name, provider: agent.provider.name },
        ...{ draft, context: turn.context, updateContext, history, stable },
      },
      ask,
    ),
  );
  applyDraft(session, base, draft);
  const response = responseOf(session, walked);
  const after = hooks?.after(turn, context);
  const finish = (taken: AgentResponse<TData>) => after && (() => finishAnswer(taken, after));
  if (manager === undefined) return { response, finish: finish(response) };
  const messages = [...lastSaid(history, from, askedAt), answerOf(walked)];
  const operationId = randomId();
  let firstTry = true;
  const store = (options: SaveOptions<TData>) => {
    const input = { session, messages, operationId, firstTry, userId, ...options };
    firstTry = false;
    return manager.saveTurn(input);
  };
  const stored = await storeAnswer({ response, store, after }, { signal });
  return { response: stored, finish: finish(stored) };
}

/**
 * Creates the session. If the store's answer is lost, the next turn on the same object repeats the operation, which tells
 * its own creation from somebody else's.
 */
async function create<TData>(
  manager: PersistenceManager<TData>,
  session: SessionState<TData>,
  id: string,
  options: Pick<TurnInput<TData>, "userId" | "signal">,
): Promise<void> {
  const operationId = creations.get(session) ?? randomId();
  creations.set(session, operationId);
  try {
    await manager.saveSessionState(id, session, { ...options, operationId });
  } catch (error) {
    // Created by an earlier try whose answer was lost, with the data of then: what has come since is saved with the turn.
    const isOurs = isWaymarkError(error) && error.code === "OPERATION_MISMATCH";
    const created = isOurs ? await manager.loadSessionState(id, options) : null;
    if (created === null) throw error;
    session.version = created.version;
  }
  creations.delete(session);
}

function responseOf<TData>(session: SessionState<TData>, walked: Walked<TData>): AgentResponse<TData> {
  const { message, collected, toolCalls, completed, usage } = walked;
  return {
    ...{ message, session, collected, toolCalls },
    ...(completed === undefined ? {} : { completed }),
    ...(usage === undefined ? {} : { usage }),
  };
}

/** What the turn answers, unless it is stored already or nobody has said anything. */
function lastSaid(
  history: readonly Message[],
  from: { readonly route: string | undefined; readonly step: string | undefined },
  askedAt: Date,
): Message[] {
  const last = history.at(-1);
  if (last === undefined || last.role === "assistant" || last.sequence !== undefined) return [];
  return [
    {
      ...last,
      route: last.route ?? from.route,
      step: last.step ?? from.step,
      createdAt: last.createdAt ?? askedAt,
    },
  ];
}

function answerOf<TData>({ message, at, toolCalls }: Walked<TData>): Message {
  return {
    ...{ role: "assistant", content: message, createdAt: new Date() },
    ...at,
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  };
}

/** @throws ValidationError `INVALID_ARGUMENT` */
export function checkHistory(history: unknown): void {
  const issues = Array.isArray(history)
    ? history.flatMap((message: unknown, index) => messageProblems(message, ["history", String(index)]))
    : [{ path: ["history"], message: "must be an array of messages" }];
  if (issues.length === 0) return;
  const list = issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; ");
  throw new ValidationError("INVALID_ARGUMENT", `respond: ${list}`, { operation: "respond", issues });
}
