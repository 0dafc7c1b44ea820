// Errors become answers by their `code`, which is stable; a client sees the code and whether to try again, and no more.
import { isWaymarkError } from "@waymark/core";

const statuses = {
  INVALID_ARGUMENT: 400,
  INVALID_ID: 400,
  INVALID_VALUE: 400,
  COMMIT_TOO_LARGE: 413,
  SESSION_NOT_FOUND: 404,
  SESSION_EXISTS: 409, // somebody else's
  SESSION_CLOSED: 409,
  SESSION_CONFLICT: 409, // another turn changed the same field: read the messages, and say it again
  SESSION_BUSY: 503,
  STORAGE_UNAVAILABLE: 503,
  STORAGE_LOCKED: 503,
  STORAGE_FULL: 503,
  CLOSED: 503, // this process is about to end; another one answers
  MODEL_FAILED: 502,
  MODEL_INVALID: 502,
  MODEL_TIMEOUT: 504,
};

/** Answers `{ status, code, retryable }` for anything that was thrown. */
export function answerFor(error) {
  if (!isWaymarkError(error)) {
    // What express found wrong with the request says so itself.
    const status = error?.expose === true ? error.status : 500;
    return { status, code: status === 500 ? "INTERNAL" : "BAD_REQUEST", retryable: false };
  }
  // The model had answered, and the store did not take it: what counts is why.
  const { code, retryable } =
    error.code === "TURN_NOT_SAVED" && isWaymarkError(error.cause) ? error.cause : error;
  return { status: statuses[code] ?? 500, code, retryable };
}

/** Express knows a handler of errors by its four parameters. */
export function sendError(error, _request, response, next) {
  if (response.headersSent) return next(error);
  const { status, code, retryable } = answerFor(error);
  if (status === 500) console.error(error);
  response.status(status).json({ error: { code, retryable } });
}
