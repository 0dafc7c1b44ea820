import type { ModelReply, ModelRequest, Provider } from "./agent/provider.js";
import type { TurnEnvironment } from "./turn/environment.js";

/** One answer of a scripted model: a reply, the text of one, an error to throw, or a function of the request. */
export type ScriptedReply = ModelReply | string | Error | ScriptFunction;

/** Answers a request; may wait, and may throw. Stop waiting when `signal` is aborted. */
export type ScriptFunction = (
  request: ModelRequest,
  options: { readonly signal: AbortSignal },
) => ModelReply | string | Promise<ModelReply | string>;

/** A model without a model. */
export interface ScriptedModel extends Provider {
  /** What it was asked, in order. */
  readonly requests: readonly ModelRequest[];
}

/**
 * A provider for tests and demos that needs no network: answers from a list in turn, and throws when it is at its end; or by
 * a function, which any number of sessions can share.
 */
export function scriptedModel(script: readonly ScriptedReply[] | ScriptFunction): ScriptedModel {
  const requests: ModelRequest[] = [];
  return {
    name: "scripted",
    requests,
    generate: async (request, options) => {
      const reply = typeof script === "function" ? script : script[requests.length];
      requests.push(request);
      if (reply === undefined) throw new RangeError(`the script has no reply to question ${requests.length}`);
      if (reply instanceof Error) throw reply;
      const answer = typeof reply === "function" ? await reply(request, options) : reply;
      return typeof answer === "string" ? { message: answer } : answer;
    },
  };
}

/** A {@link TurnEnvironment} in which nothing is left to chance. */
export interface TestEnvironment extends TurnEnvironment {
  /** Moves the clock. */
  advance(ms: number): void;
  /** Resolves when all work that went on after an answer is done. */
  settled(): Promise<void>;
}

/**
 * A clock that moves only when it is told to, ids that are the same in every run, and pauses that take no time but move the
 * clock, so that deadlines still end.
 * @param options.start milliseconds; default: the beginning of 2030. @param options.seed begins every id; default: `id`.
 */
export function testEnvironment(options: { start?: number; seed?: string } = {}): TestEnvironment {
  const { start = Date.UTC(2030, 0, 1), seed = "id" } = options;
  let time = start;
  let count = 0;
  let working: Promise<unknown>[] = [];
  return {
    now: () => time,
    newId: () => `${seed}-${String(++count).padStart(6, "0")}`,
    pause: async (retry) => {
      time += 2 ** Math.min(retry, 7);
    },
    waitUntil: (work) => void working.push(work),
    advance: (ms) => {
      time += ms;
    },
    settled: async () => {
      while (working.length > 0) {
        const now = working;
        working = [];
        await Promise.allSettled(now);
      }
    },
  };
}
