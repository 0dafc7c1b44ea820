import { isKnown } from "./position.js";
import type { ModelRequest, OfferedField, OfferedRoute, OfferedStep, RefusedValue } from "./provider.js";
import type { Route, RouteContext, Step } from "./route.js";
import type { Place, Turn } from "./turn.js";

/** Routes that can be entered: not completed in this session, and not excluded by their condition. */
export function eligibleRoutes<TData, TContext>(
  routes: readonly Route<TData, TContext>[],
  context: RouteContext<TData, TContext>,
): Route<TData, TContext>[] {
  const completed = new Set(
    context.session.routeHistory.filter((entry) => entry.completed).map(({ routeId }) => routeId),
  );
  return routes.filter(({ id, when }) => !completed.has(id) && (typeof when !== "function" || when(context)));
}

/** What the model is told, for where the turn stands. */
export function requestFor<TData, TContext>(
  turn: Turn<TData, TContext>,
  context: RouteContext<TData, TContext>,
  place: Place<TData, TContext>,
  refused: readonly RefusedValue[],
): ModelRequest {
  const { route, step, completed } = place;
  const eligible = completed === undefined ? eligibleRoutes(turn.routes, context) : [];
  const routes = route === undefined || eligible.includes(route) ? eligible : [route, ...eligible];
  const index = step === undefined ? -1 : (route?.steps.indexOf(step) ?? -1);
  return {
    agent: turn.agent,
    instructions: turn.instructions,
    history: turn.history,
    ...(turn.stable === undefined ? {} : { stable: { history: turn.stable } }),
    routes: routes.map(offerRoute),
    ...(route === undefined ? {} : { route: offerRoute(route) }),
    ...(step === undefined ? {} : { step: offerStep(step) }),
    later: (route?.steps.slice(index + 1) ?? []).map(offerStep),
    fields: offerFields(route === undefined ? routes : [route], context.data),
    refused,
    ...(completed === undefined ? {} : { completed: offerRoute(completed) }),
  };
}

function offerRoute<TData, TContext>({ id, title, description, when }: Route<TData, TContext>): OfferedRoute {
  return { id, title, description, when: typeof when === "string" ? when : undefined };
}

function offerStep<TData, TContext>({ id, title, prompt, collect }: Step<TData, TContext>): OfferedStep {
  return { id, title, prompt, collect: collect ?? [] };
}

function offerFields<TData, TContext>(
  routes: readonly Route<TData, TContext>[],
  data: object,
): OfferedField[] {
  const names = new Set<string>(routes.flatMap(({ steps }) => steps.flatMap(({ collect }) => collect ?? [])));
  return [...names].map((name) =>
    isKnown(data, name) ? { name, known: Reflect.get(data, name) } : { name },
  );
}
