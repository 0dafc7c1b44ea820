import { describe, expect, it } from "@jest/globals";
import type { Json } from "../../src/contract/json.js";
import { StorageError, ValidationError } from "../../src/errors.js";
import { decodeState, encodeState } from "../../src/state/envelope.js";
import { enterRoute, enterStep, mergeCollected } from "../../src/state/helpers.js";
import { createSession, type SessionState } from "../../src/state/session.js";

const context = { operation: "saveTurn", sessionId: "s1" };
const day = new Date(Date.UTC(2026, 0, 1));

function booking(): SessionState<Record<string, unknown>> {
  const session = createSession({ id: "s1", metadata: { channel: "web", createdAt: day } });
  enterRoute(session, { id: "book", title: undefined }, day);
  enterStep(session, { id: "ask" });
  mergeCollected(session, { email: "a@b.c", when: day });
  session.version = "life.1";
  return session;
}

/** A session with a part that TypeScript would not let through. */
function broken(parts: Record<string, unknown>): SessionState<unknown> {
  return Object.assign(booking(), parts);
}

function refused(session: SessionState<unknown>): ValidationError {
  try {
    encodeState(session, context);
  } catch (error) {
    if (error instanceof ValidationError) return error;
    throw error;
  }
  throw new Error("was not refused");
}

describe("encodeState", () => {
  it("writes ordinary JSON, without what the row has", () => {
    expect(encodeState(booking(), context)).toStrictEqual({
      data: { email: "a@b.c", when: { "~date": "2026-01-01T00:00:00.000Z" } },
      dataByRoute: { book: { email: "a@b.c", when: { "~date": "2026-01-01T00:00:00.000Z" } } },
      routeHistory: [
        { routeId: "book", enteredAt: { "~date": "2026-01-01T00:00:00.000Z" }, completed: false },
      ],
      historyBefore: 0,
      currentRoute: { id: "book" },
      currentStep: { id: "ask", routeId: "book" },
      metadata: { channel: "web" },
    });
    expect(encodeState(createSession(), context)).toStrictEqual({
      data: {},
      dataByRoute: {},
      routeHistory: [],
      historyBefore: 0,
    });
  });

  it("has a schema version only where it is not the first", () => {
    expect(encodeState(booking(), context, { schemaVersion: 1 })).not.toHaveProperty("schemaVersion");
    const json = encodeState(booking(), context, { schemaVersion: 3 });
    expect(json).toHaveProperty("schemaVersion", 3);
    expect(decodeState(json, context).state).not.toHaveProperty("schemaVersion");
  });

  it("comes back with what stands beside the session", () => {
    const json = encodeState(booking(), context, {
      historyBefore: 7,
      visible: [
        [1, 10],
        [21, null],
      ],
    });
    const decoded = decodeState<Record<string, unknown>>(JSON.parse(JSON.stringify(json)), context);
    const { id: _id, version: _version, metadata: _metadata, ...parts } = booking();
    expect(decoded).toEqual({
      state: { ...parts, metadata: { channel: "web" } },
      historyBefore: 7,
      visible: [
        [1, 10],
        [21, null],
      ],
    });
    expect(decodeState(encodeState(createSession(), context), context)).toEqual({
      state: { data: {}, dataByRoute: {}, routeHistory: [] },
      historyBefore: 0,
      visible: undefined,
    });
  });

  it.each<[string, Record<string, unknown>]>([
    ["data", { data: [] }],
    ["data", { data: undefined }],
    ["data", { data: new Map() }],
    ["dataByRoute", { dataByRoute: null }],
    ["dataByRoute.book", { dataByRoute: { book: "x" } }],
    ["routeHistory", { routeHistory: {} }],
    ["routeHistory.0", { routeHistory: [null] }],
    ["routeHistory.0", { routeHistory: [undefined] }],
    ["routeHistory.0.routeId", { routeHistory: [{ routeId: 1, enteredAt: day, completed: true }] }],
    [
      "routeHistory.0.enteredAt",
      { routeHistory: [{ routeId: "a", enteredAt: "2026-01-01", completed: true }] },
    ],
    [
      "routeHistory.0.enteredAt",
      { routeHistory: [{ routeId: "a", enteredAt: new Date(Number.NaN), completed: true }] },
    ],
    [
      "routeHistory.0.exitedAt",
      { routeHistory: [{ routeId: "a", enteredAt: day, exitedAt: null, completed: true }] },
    ],
    ["routeHistory.0.completed", { routeHistory: [{ routeId: "a", enteredAt: day }] }],
    ["currentRoute", { currentRoute: null }],
    ["currentRoute", { currentRoute: "book" }],
    ["currentRoute.id", { currentRoute: { id: 1 } }],
    ["currentRoute.title", { currentRoute: { id: "a", title: 1 } }],
    ["currentStep.routeId", { currentStep: { id: "a", routeId: 1 } }],
    ["metadata", { metadata: "x" }],
    ["metadata.createdAt", { metadata: { createdAt: 1 } }],
    ["id", { id: 1 }],
    ["version", { version: 1 }],
    ["preferences", { preferences: {} }],
    ["Symbol(s)", { [Symbol("s")]: 1 }],
  ])("refuses a wrong %s and names it", (path, parts) => {
    const error = refused(broken(parts));
    expect(error).toMatchObject({ code: "INVALID_STATE", ...context });
    expect(error.issues.map((issue) => issue.path.join("."))).toEqual([path]);
    expect(error.message).toContain(`\`${path}\``);
  });

  it("names everything that is wrong at once, and takes an unknown part that is undefined", () => {
    expect(refused(broken({ data: 1, metadata: 1, more: 1 })).issues).toHaveLength(3);
    expect(() => encodeState(broken({ more: undefined }), context)).not.toThrow();
    expect(() => encodeState(broken({ title: new Proxy({}, {}) }), context)).toThrow(ValidationError);
  });

  it("names the path of a value that cannot be kept", () => {
    expect(refused(broken({ data: { call: () => 1 } }))).toMatchObject({
      code: "INVALID_VALUE",
      issues: [{ path: ["data", "call"] }],
    });
    expect(refused(broken({ metadata: { x: [Symbol("s")] } })).message).toContain(
      "metadata.x[0] is a symbol",
    );
  });

  it("refuses counts and ranges that are none", () => {
    const session = booking();
    expect(() => encodeState(session, context, { historyBefore: -1 })).toThrow("historyBefore");
    for (const visible of [
      [[0, 1]],
      [[2, 1]],
      [
        [1, 3],
        [3, 4],
      ],
      [
        [1, null],
        [5, null],
      ],
      [[1.5, 2]],
    ] as const) {
      expect(() => encodeState(session, context, { visible })).toThrow("visible");
    }
  });
});

describe("decodeState", () => {
  const good = { data: {}, dataByRoute: {}, routeHistory: [], historyBefore: 0 };

  it.each<[string, Json]>([
    ["null", null],
    ["a list", []],
    ["no data", { ...good, data: null }],
    ["no history", { ...good, routeHistory: "secret" }],
    ["a date as text", { ...good, routeHistory: [{ routeId: "a", enteredAt: "secret", completed: true }] }],
    ["no count", { data: {}, dataByRoute: {}, routeHistory: [] }],
    ["a wrong range", { ...good, visible: [[2, 1]] }],
    ["an unknown part", { ...good, secret: 1 }],
    ["a map as data", { ...good, data: { "~map": [] } }],
    ["a broken value", { ...good, data: { a: { "~date": "secret" } } }],
  ])("calls %s damage", (_what, json) => {
    expect(() => decodeState(json, context)).toThrow(StorageError);
    expect(() => decodeState(json, context)).toThrow(
      expect.objectContaining({ code: "STORAGE_DAMAGED", sessionId: "s1" }),
    );
    expect(() => decodeState(json, context)).not.toThrow("secret");
  });
});
