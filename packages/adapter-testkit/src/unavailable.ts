import assert from "node:assert/strict";
import { inspect } from "node:util";
import { isWaymarkError } from "@waymark/core/adapter";

/** A text that the kit stores where its faults are, and that no error may have in it. */
export const secretText = "what-was-said-in-confidence";

/**
 * Asserts that an error says of a server that was not reached what its caller needs: that the same call may be made again,
 * of which session it is, and nothing of what people said or of how the client logs in.
 */
export function assertUnavailable(
  error: unknown,
  { sessionId, secrets }: { readonly sessionId?: string | undefined; readonly secrets: readonly string[] },
  what: string,
): void {
  if (!isWaymarkError(error))
    assert.fail(`${what} failed with an error that is not of the family: ${String(error)}`);
  const told = { code: error.code, retryable: error.retryable };
  assert.deepEqual(
    told,
    { code: "STORAGE_UNAVAILABLE", retryable: true },
    `${what} failed as ${told.code}, ${told.retryable ? "" : "not "}retryable: ${error.message} (${String(error.cause)})`,
  );
  assert.ok(error.operation !== "", `${what} failed with an error that names no operation`);
  if (sessionId !== undefined)
    assert.equal(error.sessionId, sessionId, `the session that the error of ${what} names`);
  // Whoever logs an error logs its causes and what a driver has put on them.
  const logged = inspect(error, { depth: 12 });
  for (const secret of [secretText, ...secrets]) {
    const at = logged.indexOf(secret);
    assert.equal(
      at,
      -1,
      `${what} failed with an error that has what people said or a password in it, after "${logged.slice(Math.max(0, at - 60), at)}"`,
    );
  }
}
