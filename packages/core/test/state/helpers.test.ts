import { describe, expect, it } from "@jest/globals";
import { ValidationError } from "../../src/errors.js";
import { completeRoute, enterRoute, enterStep, mergeCollected } from "../../src/state/helpers.js";
import { createSession } from "../../src/state/session.js";

type Booking = { email: string; guests: number | null; note?: string };
const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));

describe("routes and steps", () => {
  it("keep position and history together", () => {
    const session = createSession<Booking>();
    enterRoute(session, { id: "book", title: "Booking" }, at(0));
    enterStep(session, { id: "ask-email" });
    expect(session.currentStep).toEqual({ id: "ask-email", routeId: "book" });
    enterRoute(session, { id: "help" }, at(1));
    expect(session).toMatchObject({ currentRoute: { id: "help" } });
    expect(session).not.toHaveProperty("currentStep");
    completeRoute(session, at(2));
    expect(session).not.toHaveProperty("currentRoute");
    expect(session.routeHistory).toEqual([
      { routeId: "book", enteredAt: at(0), exitedAt: at(1), completed: false },
      { routeId: "help", enteredAt: at(1), exitedAt: at(2), completed: true },
    ]);
  });

  it("copy what they are given", () => {
    const session = createSession();
    const route = { id: "book" };
    enterRoute(session, route);
    route.id = "other";
    expect(session.currentRoute).toEqual({ id: "book" });
  });

  it("complete a position that was set by hand", () => {
    const session = createSession();
    session.routeHistory.push({ routeId: "help", enteredAt: at(0), completed: false });
    session.currentRoute = { id: "book" };
    completeRoute(session, at(1));
    expect(session.routeHistory).toEqual([
      { routeId: "help", enteredAt: at(0), exitedAt: at(1), completed: false },
      { routeId: "book", enteredAt: at(1), exitedAt: at(1), completed: true },
    ]);
  });

  it("refuse what has no meaning", () => {
    const session = createSession();
    expect(() => completeRoute(session)).toThrow(ValidationError);
    expect(() => enterStep(session, { id: "ask" })).toThrow("enter a route before");
    enterRoute(session, { id: "book" });
    expect(() => enterStep(session, { id: "ask", routeId: "help" })).toThrow("belongs to another route");
    expect(session).not.toHaveProperty("currentStep");
  });
});

describe("mergeCollected", () => {
  it("fills data and the part of the route, keeps null, removes undefined", () => {
    const session = createSession<Booking>({ data: { note: "old" } });
    enterRoute(session, { id: "book" });
    mergeCollected(session, { email: "a@b.c", guests: null });
    mergeCollected(session, { note: "new" }, "help");
    expect(session.data).toEqual({ email: "a@b.c", guests: null, note: "new" });
    expect(session.dataByRoute).toEqual({ book: { email: "a@b.c", guests: null }, help: { note: "new" } });
    mergeCollected<{ email: string | undefined }>(session, { email: undefined }, "book");
    expect(session.data).toEqual({ guests: null, note: "new" });
    expect(session.dataByRoute["book"]).toEqual({ guests: null });
  });

  it("without a route changes only data, and makes no part for a removal", () => {
    const session = createSession<Booking>();
    mergeCollected(session, { email: "a@b.c" });
    mergeCollected<{ email: string | undefined }>(session, { email: undefined }, "book");
    expect(session).toMatchObject({ data: {}, dataByRoute: {} });
  });

  it("takes any name of a field or route as data", () => {
    const session = createSession();
    const patch: Record<string, unknown> = JSON.parse('{"__proto__":{"polluted":1},"constructor":2}');
    mergeCollected(session, patch, "__proto__");
    expect(Object.keys(session.data)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(session.data)).toBe(Object.prototype);
    expect(Object.keys(session.dataByRoute)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(session.dataByRoute)).toBe(Object.prototype);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });

  it("refuses a patch that is no object of fields", () => {
    const list: Record<number, string> = ["a"];
    expect(() => mergeCollected(createSession<Record<number, string>>(), list)).toThrow(ValidationError);
  });
});
