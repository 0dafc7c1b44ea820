// The routes. Nothing of a conversation is kept in this process: each request reads what is stored, and stores what it did.
import express from "express";
import { sendError } from "./errors.mjs";

export function createApp(agent) {
  const persistence = agent.getPersistenceManager();
  const app = express()
    .disable("x-powered-by")
    .use(express.json({ limit: "64kb" }));

  app.get("/health", async (_request, response) => {
    const { reachable, writable } = await persistence.health({ timeoutMs: 5000 });
    response.status(reachable && writable ? 200 : 503).json({ reachable, writable });
  });

  app.use("/sessions", identify);

  // Takes a turn. The first one begins the session, under an id of the client's choice, such as a UUID.
  app.post("/sessions/:id/messages", async (request, response) => {
    const { userId } = response.locals;
    const text = request.body?.text;
    if (typeof text !== "string" || text === "")
      return response.status(400).json({ error: { code: "INVALID_ARGUMENT", retryable: false } });
    const { message, session, saved } = await agent.session(request.params.id, { userId }).chat(text);
    response.json({ message, data: session.data, sequence: saved.last });
  });

  app.get("/sessions/:id/messages", async (request, response) => {
    const { userId } = response.locals;
    const { id } = request.params;
    const limit = Number(request.query.limit ?? 50);
    const before = request.query.before === undefined ? undefined : Number(request.query.before);
    const info = await persistence.findSessionById(id, { userId });
    if (info === null) return notFound(response);
    const page = await persistence.findMessagesBySessionId(id, { limit, before, userId });
    const messages = page.map(({ sequence, role, content }) => ({ sequence, role, content }));
    response.json({ messages, before: page.next });
  });

  app.delete("/sessions/:id", async (request, response) => {
    const isDeleted = await persistence.deleteSession(request.params.id, { userId: response.locals.userId });
    if (!isDeleted) return notFound(response);
    response.status(204).end();
  });

  return app.use(sendError);
}

/**
 * STANDS IN FOR AUTHENTICATION: everybody is who the header says. Put here what your application has, a verified token or a
 * session cookie; all that follows needs is an id of the user that nobody else can take.
 */
function identify(request, response, next) {
  const userId = request.get("x-user-id");
  if (userId === undefined) return response.status(401).json({ error: { code: "UNKNOWN_USER" } });
  response.locals.userId = userId;
  next();
}

function notFound(response) {
  response.status(404).json({ error: { code: "SESSION_NOT_FOUND", retryable: false } });
}
