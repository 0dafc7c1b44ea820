import { describe, expect, it } from "@jest/globals";
import { StorageError, TurnNotSavedError, WaymarkError, errorCodes } from "@waymark/core";
import { answerFor } from "../errors.mjs";

const details = { operation: "test" };

describe("the answer for an error", () => {
  it("asks the client to come again only where a retry can help", () => {
    for (const code of Object.keys(errorCodes) as (keyof typeof errorCodes)[]) {
      const { status, retryable } = answerFor(new WaymarkError(code, "x", details));
      expect({ code, is: status }).toEqual({ code, is: expect.any(Number) });
      expect(retryable).toBe(errorCodes[code].retryable);
      if (status < 500) expect({ code, retryable }).toEqual({ code, retryable: false });
    }
  });

  it("is that of the cause, where a turn was answered and not stored", () => {
    const response = { message: "", session: { data: {}, dataByRoute: {}, routeHistory: [] } };
    const cause = new StorageError("STORAGE_UNAVAILABLE", "x", details);
    const error = new TurnNotSavedError({ ...response, collected: {}, toolCalls: [] }, cause, () =>
      Promise.reject(cause),
    );
    expect(answerFor(error)).toEqual({ status: 503, code: "STORAGE_UNAVAILABLE", retryable: true });
  });

  it("says nothing of what is not expected", () => {
    expect(answerFor(new Error("the password is 1234"))).toEqual({
      ...{ status: 500, code: "INTERNAL", retryable: false },
    });
    expect(answerFor("thrown")).toMatchObject({ status: 500 });
  });
});
