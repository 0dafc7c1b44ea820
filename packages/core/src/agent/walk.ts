import { setOwn } from "../codec/own.js";
import type { ToolCall } from "../contract/message.js";
import type { Usage } from "../session/response.js";
import { completeRoute, enterRoute, enterStep, mergeCollected } from "../state/helpers.js";
import type { Ask } from "./ask.js";
import { checkValues, isNews } from "./collect.js";
import { refuseWhole } from "./complete.js";
import { isKnown, isSaying, openStep, saidBefore } from "./position.js";
import type { ModelReply, ModelRequest, RefusedValue } from "./provider.js";
import { invalidReply } from "./reply.js";
import { eligibleRoutes, requestFor } from "./request.js";
import type { FieldName, Route, RouteContext } from "./route.js";
import type { Place, Turn, Walked } from "./turn.js";

/** A model that leads the turn on with each answer is taken at its word in the end. */
const questionsPerTurn = 4;

/**
 * One turn: ask the model, choose the route, collect what was said, go on to the first open step, and ask again only where
 * that made the model's message wrong.
 */
export async function walk<TData, TContext>(turn: Turn<TData, TContext>, ask: Ask): Promise<Walked<TData>> {
  const context = contextOf(turn);
  const place: Place<TData, TContext> = { said: new Set() };
  const collected: Partial<TData> = {};
  const toolCalls: ToolCall[] = [];
  let refused = await begin(turn, context, place);
  let usage: Usage | undefined;

  for (let question = 1; ; question++) {
    const request = requestFor(turn, context, place, refused);
    const reply = await ask(request);
    usage = sum(usage, reply.usage);
    toolCalls.push(...(reply.toolCalls ?? []));
    const before = { ...place };
    chooseRoute(turn, context, place, request, reply);
    const news = [
      ...(await collect(turn, place, before.route, reply, collected)),
      ...(await advance(turn, context, place)),
    ];
    for (const { field } of news)
      if (!isKnown(turn.draft.data, field)) Reflect.deleteProperty(collected, field);
    const isRight = fits(reply, before, place) && !isNews(news, refused);
    refused = news;
    if (!isRight && question < questionsPerTurn) continue;
    const at = { route: (place.route ?? place.completed)?.id, step: place.step?.id };
    if (isRight) await endAfterSaying(turn, context, place);
    await place.completed?.onComplete?.({ ...context, updateContext: turn.updateContext });
    return { message: reply.message, at, collected, toolCalls, completed: place.completed?.id, usage };
  }
}

function contextOf<TData, TContext>(turn: Turn<TData, TContext>): RouteContext<TData, TContext> {
  const { draft, context, history } = turn;
  return { data: draft.data, session: draft, context, history };
}

/** Finds where the session stands, and where its message leads before anything is asked. Answers what was refused. */
async function begin<TData, TContext>(
  turn: Turn<TData, TContext>,
  context: RouteContext<TData, TContext>,
  place: Place<TData, TContext>,
): Promise<readonly RefusedValue[]> {
  const { routes, draft } = turn;
  // A route that the program no longer has is as good as none.
  const present = routes.find(({ id }) => id === draft.currentRoute?.id);
  if (present === undefined) {
    const [only, ...others] = eligibleRoutes(routes, context);
    if (only === undefined || others.length > 0 || typeof only.when === "string") return [];
    enter(turn, place, only);
  } else {
    place.route = present;
    place.step = present.steps.find(({ id }) => id === draft.currentStep?.id);
    place.said = saidBefore(present, place.step?.id, context);
  }
  return advance(turn, context, place);
}

function enter<TData, TContext>(
  { draft }: Turn<TData, TContext>,
  place: Place<TData, TContext>,
  route: Route<TData, TContext>,
): void {
  enterRoute(draft, refOf(route));
  place.route = route;
  place.step = undefined;
  place.said = new Set();
}

function chooseRoute<TData, TContext>(
  turn: Turn<TData, TContext>,
  context: RouteContext<TData, TContext>,
  place: Place<TData, TContext>,
  request: ModelRequest,
  { route: id }: ModelReply,
): void {
  // One route is enough for a turn: the next one begins with the person's next message.
  if (id == null || id === place.route?.id || place.completed !== undefined) return;
  const route = eligibleRoutes(turn.routes, context).find((one) => one.id === id);
  if (route === undefined) {
    const offered = request.routes.map((one) => one.id).join(", ") || "none";
    const issue = {
      path: ["reply", "route"],
      message: `names a route that was not offered (offered: ${offered})`,
    };
    throw invalidReply([issue], turn.provider, turn.draft.id);
  }
  enter(turn, place, route);
}

/** Takes over what was found, for the present route and for the one that is just being left. Answers what was refused. */
async function collect<TData, TContext>(
  { draft, schema }: Turn<TData, TContext>,
  { route }: Place<TData, TContext>,
  left: Route<TData, TContext> | undefined,
  { data }: ModelReply,
  collected: Partial<TData>,
): Promise<readonly RefusedValue[]> {
  if (route === undefined || data === undefined) return [];
  const here = fieldsOf(route);
  const there = left === undefined || left === route ? new Set<string>() : fieldsOf(left);
  const { accepted, refused } = await checkValues(data, new Set([...here, ...there]), schema);
  const forHere: Partial<TData> = {};
  const forThere: Partial<TData> = {};
  for (const [field, value] of accepted) {
    setOwn(collected, field, value);
    setOwn(here.has(field) ? forHere : forThere, field, value);
  }
  mergeCollected(draft, forHere, route.id);
  if (left !== undefined) mergeCollected(draft, forThere, left.id);
  return refused;
}

/** Goes to the first step that is not done, or completes the route. Answers the values that stand against that. */
async function advance<TData, TContext>(
  turn: Turn<TData, TContext>,
  context: RouteContext<TData, TContext>,
  place: Place<TData, TContext>,
): Promise<readonly RefusedValue[]> {
  const { draft } = turn;
  const { route } = place;
  if (route === undefined) return [];
  const incomplete = await refuseWhole(turn, route, context);
  const step = incomplete?.step ?? openStep(route, context, place.said);
  if (step !== undefined) {
    if (step.id !== draft.currentStep?.id) enterStep(draft, { ...refOf(step), routeId: route.id });
    place.step = step;
  } else {
    completeRoute(draft);
    place.completed = route;
    place.route = undefined;
    place.step = undefined;
  }
  return incomplete?.refused ?? [];
}

/** A step that has nothing to collect and nothing after it needs no answer. */
async function endAfterSaying<TData, TContext>(
  turn: Turn<TData, TContext>,
  context: RouteContext<TData, TContext>,
  place: Place<TData, TContext>,
): Promise<void> {
  const { route, step } = place;
  if (route === undefined || step === undefined || !isSaying(step)) return;
  const said = new Set([...place.said, step.id]);
  if (openStep(route, context, said) !== undefined) return;
  place.said = said;
  await advance(turn, context, place);
}

/** Whether the message is right where the turn stands now. */
function fits<TData, TContext>(
  reply: ModelReply,
  before: Place<TData, TContext>,
  now: Place<TData, TContext>,
): boolean {
  if (reply.step !== undefined) return reply.step === (now.step?.id ?? null);
  return before.route === now.route && before.step === now.step && before.completed === now.completed;
}

function fieldsOf<TData, TContext>({ steps }: Route<TData, TContext>): Set<string> {
  return new Set<FieldName<TData>>(steps.flatMap(({ collect }) => collect ?? []));
}

function refOf({ id, title }: { readonly id: string; readonly title?: string }): {
  id: string;
  title?: string;
} {
  return { id, ...(title === undefined ? {} : { title }) };
}

function sum(a: Usage | undefined, b: Usage | undefined): Usage | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { inputTokens: a.inputTokens + b.inputTokens, outputTokens: a.outputTokens + b.outputTokens };
}
