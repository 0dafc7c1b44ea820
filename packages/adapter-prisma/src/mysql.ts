import { type SessionRow, ValidationError, systemEnvironment } from "@waymark/core/adapter";
import { type Model, type PrismaClientLike, patience, run, transaction } from "./client.js";
import { listOf } from "./messages.js";
import { encodeRecord } from "./records.js";
import type { Codec } from "./row.js";
import { type Names, keepsRecords, modelsOf, recordModelOf } from "./schema.js";
import type { Server } from "./server.js";

/**
 * MySQL and MariaDB take texts for equal that differ in case, accents and spaces at the end, and cut what is too long, unless
 * they are told otherwise.
 * @throws `INVALID_CONFIGURATION` with the statements to run.
 */
export async function checkMySql(
  client: PrismaClientLike,
  names: Names,
  codec: Codec,
  server: Server,
): Promise<void> {
  if (!/STRICT_(TRANS|ALL)_TABLES/.test(server.mode))
    throw invalid(
      "the SQL mode of the server is not strict, so that it would cut what is too long for a column. Run, or set in its configuration:" +
        "\n\n  SET GLOBAL sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES');\n",
    );
  // A server that only reads compares nothing that is written through it.
  if (!server.writable) return;
  const wrong = await likeOthers(client, names, codec);
  if (wrong.length === 0) return;
  const collation = server.name.startsWith("MariaDB") ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
  const [sessions, messages, ...more] = tablesOf(client, names);
  const foreignKey = `${messages}_session_id_fkey`;
  const statements = [
    `ALTER TABLE ${messages} DROP FOREIGN KEY ${foreignKey};`,
    ...[sessions, messages, ...more].map(
      (table) => `ALTER TABLE ${table} CONVERT TO CHARACTER SET utf8mb4 COLLATE ${collation};`,
    ),
    `ALTER TABLE ${messages} ADD CONSTRAINT ${foreignKey}`,
    `  FOREIGN KEY (session_id) REFERENCES ${sessions} (id) ON DELETE CASCADE ON UPDATE CASCADE;`,
  ];
  throw invalid(
    `${wrong.join(", ")}: the column does not compare byte by byte, so that "a" would be "A" or "a " there. Run once, as a ` +
      `migration, with your own names where they are not those of the fragment:\n\n${statements.map((line) => `  ${line}\n`).join("")}`,
  );
}

/** The tables of the fragment, as far as the models are. */
function tablesOf(client: PrismaClientLike, names: Names): string[] {
  const { sessions, messages, records } = names;
  const tables = [
    sessions.model === "AgentSession" ? "agent_sessions" : sessions.model,
    messages.model === "AgentMessage" ? "agent_messages" : messages.model,
  ];
  if (keepsRecords(client, names))
    tables.push(records.model === "AgentRecord" ? "agent_records" : records.model);
  return tables;
}

/** Thrown to undo what was written to look at it. */
const undo = Symbol("undo");

/**
 * The fields in which one text is found by another. Nobody but the columns themselves knows, so rows are written to be looked
 * for, in a transaction that is undone.
 */
async function likeOthers(client: PrismaClientLike, names: Names, codec: Codec): Promise<string[]> {
  const prefix = `waymark check ${systemEnvironment.newId()} `;
  const text = `${prefix}a`;
  const others = [`${prefix}A`, `${prefix}\u00e1`, `${text} `];
  const { sessions, messages, records, relation } = names;
  const row: SessionRow = {
    ...{ id: text, life: text, revision: text, version: text, userId: text, agentName: text },
    ...{ status: "active", first: 1, last: 0, lastMessageAt: null, createdAt: 0, updatedAt: 0 },
    ...{
      completedAt: null,
      expiresAt: null,
      route: null,
      step: null,
      state: null,
      dirty: false,
      system: null,
    },
  };
  const entry = {
    ...{ sessionId: text, log: text, sequence: 1, userId: null, role: "user", content: "", createdAt: 0 },
    body: null,
  };
  const record = { scope: text, key: text, value: null, revision: text, stamp: text };

  let wrong: string[] = [];

  /** `key`: by which the row is found, so that nothing looks through the table for a column that has no index. */
  async function find(model: Model, name: string, fields: readonly string[], key: object): Promise<void> {
    for (const field of fields) {
      const where = { ...key, [field]: { in: others } };
      const found = listOf(await model.findMany({ where, select: { [field]: true }, take: 1 }));
      if (found.length > 0) wrong.push(`\`${field}\` of \`${name}\``);
    }
  }

  async function look(inside: PrismaClientLike): Promise<never> {
    wrong = [];
    const models = modelsOf(inside, names);
    const data = {
      ...codec.encodeRow(row),
      [relation]: { createMany: { data: [codec.encodeEntry(entry)] } },
    };
    await models.sessions.create({ data, select: { [sessions.fields.id]: true } });
    const { id, life, revision, userId, agentName } = sessions.fields;
    await find(models.sessions, sessions.model, [id, life, revision, userId, agentName], { [id]: text });
    const { sessionId, log } = messages.fields;
    await find(models.messages, messages.model, [sessionId, log], { [sessionId]: text });
    if (keepsRecords(client, names)) {
      const model = recordModelOf(inside, names);
      await model.createMany({ data: [encodeRecord(records.fields, record)] });
      const { scope, key } = records.fields;
      await find(model, records.model, [scope, key], { [scope]: text });
    }
    throw undo;
  }

  await run({ operation: "initialize" }, async () => {
    try {
      await transaction(client, look, patience);
    } catch (cause) {
      if (cause !== undo) throw cause;
    }
  });
  return wrong;
}

function invalid(message: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `initialize: ${message}`, { operation: "initialize" });
}
