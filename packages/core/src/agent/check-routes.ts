import { ValidationError, type ValidationIssue } from "../errors.js";
import type { Schema } from "../state/schema.js";
import { isSaying } from "./position.js";
import type { Route, Step } from "./route.js";

/**
 * Finds what cannot work before the first conversation does.
 * @throws ValidationError `INVALID_CONFIGURATION`; `issues` has all that is wrong.
 */
export function checkRoutes<TData, TContext>(
  routes: readonly Route<TData, TContext>[],
  schema: Schema | undefined,
): void {
  if (!isList(routes))
    throw refused([{ path: ["routes"], message: "must be an array of routes with `steps`" }]);
  const issues = [
    ...repeated(routes, ["routes"]),
    ...routes.flatMap((route) => [
      ...(route.steps.length > 0 ? [] : [{ path: ["routes", route.id], message: "has no step" }]),
      ...checkCheck(route),
      ...repeated(route.steps, ["routes", route.id]),
      ...route.steps.flatMap((step, index) => checkStep(route, step, index, schema)),
    ]),
  ];
  if (issues.length > 0) throw refused(issues);
}

function checkCheck<TData, TContext>({ id, check, steps }: Route<TData, TContext>): ValidationIssue[] {
  if (check === undefined) return [];
  const path = ["routes", id];
  if (typeof check["~standard"]?.validate !== "function")
    return [{ path, message: "has a `check` that is not a schema" }];
  // Where it refuses, there has to be something to ask for.
  if (steps.every(isSaying)) return [{ path, message: "has a `check` and collects nothing" }];
  return [];
}

function checkStep<TData, TContext>(
  route: Route<TData, TContext>,
  step: Step<TData, TContext>,
  index: number,
  schema: Schema | undefined,
): ValidationIssue[] {
  const path = ["routes", route.id, step.id];
  const later = new Set(route.steps.slice(index + 1).map(({ id }) => id));
  const unknown =
    schema === undefined ? [] : (step.collect ?? []).filter((name) => !Object.hasOwn(schema, name));
  return [
    ...unknown.map((name) => ({
      path,
      message: `collects ${JSON.stringify(name)}, which the schema does not have`,
    })),
    // Only forward: a step is asked again because its fields are not known, never because a branch leads back to it.
    ...(step.next ?? [])
      .filter(({ to }) => to !== null && !later.has(to))
      .map(({ to }) => ({
        path,
        message: `goes on to ${JSON.stringify(to)}, which is not a later step of its route`,
      })),
  ];
}

function isList(routes: unknown): boolean {
  return (
    Array.isArray(routes) &&
    routes.every((route: unknown) => {
      return typeof route === "object" && route !== null && "steps" in route && Array.isArray(route.steps);
    })
  );
}

function repeated(items: readonly { readonly id: string }[], path: readonly string[]): ValidationIssue[] {
  const seen = new Set<string>();
  const issues: ValidationIssue[] = [];
  for (const { id } of items) {
    if (typeof id !== "string" || id === "")
      issues.push({ path, message: "each needs an `id` that is not empty" });
    else if (seen.has(id)) issues.push({ path, message: `the id ${JSON.stringify(id)} is given twice` });
    seen.add(id);
  }
  return issues;
}

function refused(issues: readonly ValidationIssue[]): ValidationError {
  const list = issues.map(({ path, message }) => `${path.join(" › ")} ${message}`).join("; ");
  return new ValidationError("INVALID_CONFIGURATION", `new Agent: ${list}`, {
    operation: "new Agent",
    issues,
  });
}
