/** What the rules need of the outside world; tests and the model checker bring their own. */
export interface TurnEnvironment {
  /** Milliseconds. */
  now(): number;
  /** A random name without `/`: of a life, a revision or an operation. Never the same twice. */
  newId(): string;
  /** Waits before the given retry (from 1); random, so that writers who met do not meet again. */
  pause(retry: number): Promise<void>;
  /** Work that goes on after the answer; a serverless host keeps the process alive for it. */
  waitUntil(work: Promise<unknown>): void;
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Random bytes for the next ids: asking for a few at a time costs more than all else that a turn does. */
const pool = new Uint8Array(4096);
let used = pool.length;

/** 96 random bits as 16 characters that are plain in a key, a file name and a URL. */
export function randomId(): string {
  if (used >= pool.length) {
    crypto.getRandomValues(pool);
    used = 0;
  }
  let id = "";
  for (const end = used + 16; used < end; used++) id += alphabet.charAt((pool[used] ?? 0) & 63);
  return id;
}

/** The real clock and real randomness. Pauses grow from about 2 ms to at most 100 ms. */
export const systemEnvironment: TurnEnvironment = {
  now: () => Date.now(),
  newId: randomId,
  pause: (retry) =>
    new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(100, 2 ** Math.min(retry, 7)))),
  waitUntil: () => {},
};
