/** What a writer was told of one call, and when. Times are microseconds of a clock that all processes share. */
export interface Call {
  readonly writer: string;
  readonly session: string;
  readonly kind: "turn" | "append" | "load";
  /** Empty for a load. */
  readonly operation: string;
  /** The version that a turn was made from. */
  readonly expected: string | null;
  /** How many messages it has. */
  readonly count: number;
  readonly start: number;
  readonly end: number;
  readonly told: Told;
}

export type Told =
  | { readonly status: "stored"; readonly version: string; readonly first: number; readonly last: number }
  | { readonly status: "conflict"; readonly version: string }
  /** Nobody can tell, or there was no answer: it may be there and may be not. */
  | { readonly status: "open"; readonly why: string }
  | { readonly status: "other"; readonly why: string }
  | ({ readonly status: "loaded" } & Seen);

/** What a reader is shown of a session. */
export interface Seen {
  readonly version: string;
  readonly last: number;
  /** The operation that made the state; empty for the first state. */
  readonly by: string;
  /** The last messages, as many as were asked for. */
  readonly texts: readonly string[];
}

/** The text of a message says which turn it is of, and where in it. */
export function textOf(operation: string, index: number, count: number): string {
  return `${operation} ${index}/${count}`;
}

interface Step {
  readonly operation: string;
  readonly first: number;
  readonly last: number;
  /** When its first call began. */
  readonly start: number;
  /** When somebody had been told first that it is stored; never, where nobody was. */
  readonly end: number;
  readonly calls: readonly Call[];
  /** The version after it. */
  version: string;
  by: string;
}

/**
 * Whether one order of the turns explains all that the writers and readers of a session were told (linearizability). The
 * messages at the end give the order, so that it need not be searched for. Null: it does; otherwise what it cannot explain.
 * @param initial the version at the beginning, before any message.
 */
export function explain(calls: readonly Call[], initial: string, final: Seen): string | null {
  const byOperation = new Map<string, Call[]>();
  for (const call of calls) {
    if (call.kind === "load") continue;
    byOperation.set(call.operation, [...(byOperation.get(call.operation) ?? []), call]);
  }
  const steps: Step[] = [];
  for (let index = 0; index < final.texts.length;) {
    const [operation = "", place = ""] = (final.texts[index] ?? "").split(" ");
    const count = Number(place.split("/")[1]);
    const own = byOperation.get(operation);
    if (own === undefined) return `message ${index + 1} is of a turn that nobody made: ${final.texts[index]}`;
    for (let part = 1; part <= count; part++) {
      const text = final.texts[index + part - 1];
      if (text !== textOf(operation, part, count))
        return `turn ${operation} is torn: message ${index + part} is ${text ?? "missing"}`;
    }
    if (steps.some((step) => step.operation === operation)) return `turn ${operation} is stored twice`;
    const ends = own.filter(({ told }) => told.status === "stored").map(({ end }) => end);
    steps.push({
      ...{ operation, first: index + 1, last: index + count, calls: own, version: "", by: "" },
      start: Math.min(...own.map(({ start }) => start)),
      end: Math.min(Infinity, ...ends),
    });
    index += count;
  }
  if (final.last !== final.texts.length)
    return `the row says ${final.last} messages and there are ${final.texts.length}`;
  return (
    explainVersions(steps, initial, final) ??
    explainAnswers(byOperation, steps) ??
    explainTime(steps) ??
    explainReads(calls, steps, initial)
  );
}

function explainVersions(steps: readonly Step[], initial: string, final: Seen): string | null {
  let version = initial;
  let by = "";
  for (const step of steps) {
    const [call] = step.calls;
    if (call?.kind === "turn") {
      if (call.expected !== version)
        return `a lost update: turn ${step.operation} was made from ${call.expected} and stored on ${version}`;
      version = next(version);
      by = step.operation;
    }
    step.version = version;
    step.by = by;
  }
  if (final.version !== version) return `the version is ${final.version} where the turns make ${version}`;
  return final.by === by ? null : `the state is that of ${final.by} where the last turn is ${by}`;
}

function explainAnswers(
  byOperation: ReadonlyMap<string, readonly Call[]>,
  steps: readonly Step[],
): string | null {
  const stored = new Map(steps.map((step) => [step.operation, step]));
  for (const [operation, own] of byOperation) {
    const step = stored.get(operation);
    for (const { told, writer, expected, end } of own) {
      const say = (what: string) => `writer ${writer} was told "${told.status}" of ${operation}, but ${what}`;
      if (told.status === "other") return `writer ${writer} was told "${told.why}" of ${operation}`;
      if (told.status === "stored") {
        if (step === undefined) return say("it is not there: a turn was lost");
        if (told.first !== step.first || told.last !== step.last)
          return say(
            `with sequences ${told.first} to ${told.last}, and it has ${step.first} to ${step.last}`,
          );
        if (told.version !== step.version)
          return say(`with version ${told.version}, and it made ${step.version}`);
      }
      if (told.status === "conflict") {
        if (step !== undefined) return say("it is there");
        const mover = steps.find(
          (one) => one.calls[0]?.kind === "turn" && one.calls[0].expected === expected,
        );
        if (mover === undefined || mover.start > end)
          return say("nobody had moved the version that it was made from");
        const maker = steps.find(({ version }) => version === told.version);
        if (maker === undefined || maker.start > end) return say(`version ${told.version} was not there yet`);
      }
    }
  }
  return null;
}

function explainTime(steps: readonly Step[]): string | null {
  let latest: Step | undefined;
  for (const step of steps) {
    if (latest !== undefined && step.end < latest.start)
      return `turn ${step.operation} had been acknowledged before ${latest.operation} began, and is stored after it`;
    if (latest === undefined || step.start > latest.start) latest = step;
  }
  return null;
}

function explainReads(calls: readonly Call[], steps: readonly Step[], initial: string): string | null {
  const texts = steps.flatMap(({ operation, first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => textOf(operation, index + 1, last - first + 1)),
  );
  for (const { told, writer, start, end } of calls) {
    if (told.status !== "loaded") continue;
    const say = (what: string) =>
      `writer ${writer} read ${told.last} messages at version ${told.version}, but ${what}`;
    const step = steps.find(({ last }) => last === told.last);
    if (step === undefined && told.last !== 0) return say("no turn ended there");
    const version = step?.version ?? initial;
    if (told.version !== version || told.by !== (step?.by ?? ""))
      return say(`there the version was ${version}, made by ${step?.by}`);
    const expected = texts.slice(told.last - told.texts.length, told.last);
    if (told.texts.join() !== expected.join()) return say("the messages are not those of the turns");
    const missed = steps.find((one) => one.end < start && one.first > told.last);
    if (missed !== undefined)
      return say(`turn ${missed.operation} had been acknowledged before the read began`);
    const early = steps.find((one) => one.last <= told.last && one.start > end);
    if (early !== undefined) return say(`turn ${early.operation} began only after the read had ended`);
  }
  return null;
}

function next(version: string): string {
  const dot = version.lastIndexOf(".");
  return `${version.slice(0, dot)}.${Number(version.slice(dot + 1)) + 1}`;
}
