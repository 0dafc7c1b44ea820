import type { ValidationIssue } from "../errors.js";
import { mergeCollected } from "../state/helpers.js";
import { validateWhole } from "../state/schema.js";
import { isKnown, isSaying, openStep } from "./position.js";
import type { RefusedValue } from "./provider.js";
import type { FieldName, Route, RouteContext, Step } from "./route.js";
import type { Turn } from "./turn.js";

/** Why a route that has all its answers is not done. */
export interface Incomplete<TData, TContext> {
  /** Where to ask again. */
  readonly step: Step<TData, TContext>;
  readonly refused: readonly RefusedValue[];
}

/**
 * The check of the whole, as soon as a route has nothing more to collect, so that it does not say goodbye first. Where it refuses, the values that it speaks of are removed,
 * so that their steps are open again, also in later turns. Undefined: the route may be completed.
 */
export async function refuseWhole<TData, TContext>(
  { draft }: Turn<TData, TContext>,
  route: Route<TData, TContext>,
  context: RouteContext<TData, TContext>,
): Promise<Incomplete<TData, TContext> | undefined> {
  if (route.check === undefined || openToCollect(route, context) !== undefined) return undefined;
  const { issues } = await validateWhole(route.check, draft.data);
  if (issues === undefined) return undefined;
  const { steps } = route;
  const known = (step: Step<TData, TContext>) => step.collect?.some((name) => isKnown(draft.data, name));
  const named = new Set(issues.map(({ path }) => path[1]));
  const last = steps.findLast(known) ?? steps.findLast((step) => !isSaying(step));
  const collected = steps.flatMap(({ collect }) => collect ?? []);
  const wanted = collected.filter((name) => named.has(name));
  const fields = new Set(wanted.length > 0 ? wanted : last?.collect);
  const step = steps.find(({ collect }) => collect?.some((name) => fields.has(name)));
  if (step === undefined) return undefined;
  const refused = [...fields].map((field) => ({
    field,
    value: draft.data[field],
    problems: problemsOf(issues, field, named.has(field)),
  }));
  forget(draft, [...fields], route.id);
  return { step: openToCollect(route, context) ?? step, refused };
}

/** The first step that still has something to collect. */
function openToCollect<TData, TContext>(
  route: Route<TData, TContext>,
  context: RouteContext<TData, TContext>,
): Step<TData, TContext> | undefined {
  return openStep(route, context, new Set(route.steps.filter(isSaying).map(({ id }) => id)));
}

function problemsOf(issues: readonly ValidationIssue[], field: string, isNamed: boolean): string[] {
  const own = isNamed ? issues.filter(({ path }) => path[1] === field) : issues;
  return own.map(({ message }) => message);
}

function forget<TData>(
  draft: Turn<TData, unknown>["draft"],
  fields: readonly FieldName<TData>[],
  routeId: string,
): void {
  const patch: Partial<TData> = {};
  for (const field of fields) patch[field] = undefined;
  mergeCollected(draft, patch, routeId);
}
