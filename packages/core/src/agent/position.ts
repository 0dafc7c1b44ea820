import type { Route, RouteContext, Step } from "./route.js";

// Where a session stands in a route is worked out from its data at every turn, never counted on: so a correction of an
// earlier answer also corrects the way that was taken.

/** The first step that is not done; undefined: the route is. @param said steps without fields that the person has answered. */
export function openStep<TData, TContext>(
  route: Route<TData, TContext>,
  context: RouteContext<TData, TContext>,
  said: ReadonlySet<string>,
): Step<TData, TContext> | undefined {
  let step = route.steps[0];
  while (step !== undefined && isDone(step, context, said)) step = following(route, step, context);
  return step;
}

/** The steps without fields that lie on the way to the current one, itself included: they were said in earlier turns. */
export function saidBefore<TData, TContext>(
  route: Route<TData, TContext>,
  current: string | undefined,
  context: RouteContext<TData, TContext>,
): Set<string> {
  const said = new Set<string>();
  const end = route.steps.findIndex(({ id }) => id === current);
  let step = route.steps[0];
  while (step !== undefined && route.steps.indexOf(step) <= end) {
    if (isSaying(step)) said.add(step.id);
    step = following(route, step, context);
  }
  return said;
}

/** Whether a step only says something, and collects nothing. */
export function isSaying<TData, TContext>(step: Step<TData, TContext>): boolean {
  return step.collect === undefined || step.collect.length === 0;
}

/** Whether a field has been collected. */
export function isKnown(data: object, field: string): boolean {
  return Object.hasOwn(data, field) && Reflect.get(data, field) !== undefined;
}

function isDone<TData, TContext>(
  step: Step<TData, TContext>,
  context: RouteContext<TData, TContext>,
  said: ReadonlySet<string>,
): boolean {
  if (step.skipWhen?.(context) === true) return true;
  if (isSaying(step)) return said.has(step.id);
  return step.collect?.every((field) => isKnown(context.data, field)) === true;
}

function following<TData, TContext>(
  route: Route<TData, TContext>,
  step: Step<TData, TContext>,
  context: RouteContext<TData, TContext>,
): Step<TData, TContext> | undefined {
  const branch = step.next?.find(({ when }) => when === undefined || when(context));
  if (branch === undefined) return route.steps[route.steps.indexOf(step) + 1];
  return route.steps.find(({ id }) => id === branch.to);
}
