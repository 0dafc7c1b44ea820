import { ValidationError } from "../errors.js";
import { className } from "./kind.js";

/** One run of the encoder. The path is overwritten as it goes, so that only a refusal has to build one. */
export interface Walk {
  readonly operation: string;
  readonly sessionId: string | undefined;
  /** Valid up to `base` and one segment for each ancestor. */
  readonly path: (string | number)[];
  readonly base: number;
  /** The containers around the present value, outermost first. */
  readonly ancestors: object[];
  /** How many containers were entered so far. */
  containers: number;
  /** What this run threw, to tell it from what a proxy throws. */
  refused: ValidationError | null;
}

/** What is wrong with a value, as the end of a sentence that begins with its path. */
export interface Problem {
  readonly text: string;
  readonly cause?: unknown;
}

/** The error for the present value of the walk, or for the one `levels` from the outermost. */
export function refusal(
  walk: Walk,
  problem: Problem,
  code: "INVALID_VALUE" | "COMMIT_TOO_LARGE" = "INVALID_VALUE",
  levels = walk.ancestors.length,
): ValidationError {
  const path = walk.path.slice(0, walk.base + levels);
  const advice = code === "INVALID_VALUE" ? "; nothing was stored" : "";
  walk.refused = new ValidationError(code, `${walk.operation}: ${pathText(path)} ${problem.text}${advice}`, {
    operation: walk.operation,
    sessionId: walk.sessionId,
    issues: [{ path: path.map(String), message: problem.text }],
    ...(problem.cause === undefined ? {} : { cause: problem.cause }),
  });
  return walk.refused;
}

/** For nesting beyond the limit: a cycle where there is one, since no cycle ends before it. */
export function tooDeep(walk: Walk, value: object | null, deepest: number): ValidationError {
  const chain = value === null ? walk.ancestors : [...walk.ancestors, value];
  const again = chain.findIndex((item, index) => chain.indexOf(item) < index);
  if (again >= 0) return refusal(walk, { text: "refers to itself" }, "INVALID_VALUE", again);
  return refusal(walk, { text: `is nested deeper than ${deepest} levels of JSON` }, "COMMIT_TOO_LARGE");
}

const advice: Readonly<Record<string, string>> = {
  Promise: "await it first",
  RegExp: "store its source and flags",
  Error: "store its name and message",
  String: "store the plain string",
  Number: "store the plain number",
  Boolean: "store the plain boolean",
  ArrayBuffer: "store `new Uint8Array(buffer)`",
};

/** Why an object is none of the kinds that can be stored. */
export function problemOf(value: object): Problem {
  const name = className(value);
  if (value instanceof Uint8Array) return { text: `is a ${name}; store \`new Uint8Array(value)\` instead` };
  if (ArrayBuffer.isView(value))
    return { text: `is a ${name}; of the binary views only Uint8Array is stored` };
  const what = value instanceof Error ? "Error" : name;
  return { text: `is an instance of ${name}; ${advice[what] ?? "store its data as a plain object"}` };
}

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const longestShown = 60;

function pathText(path: readonly (string | number)[]): string {
  if (path.length === 0) return "the value";
  let text = "";
  for (const part of path) {
    const shown =
      typeof part === "string" && part.length > longestShown ? `${part.slice(0, longestShown)}…` : part;
    if (typeof shown === "number") text += `[${shown}]`;
    else if (identifier.test(shown)) text += text === "" ? shown : `.${shown}`;
    else text += `[${JSON.stringify(shown)}]`;
  }
  return text;
}
