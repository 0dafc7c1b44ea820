import { ValidationError } from "@waymark/core/adapter";
import { type Model, type PrismaClientLike, codeOf, findModel, isObject, run } from "./client.js";
import type { Server } from "./server.js";

/** The fields of the session model by our names for them, each as it is declared. */
const sessionFields = {
  id: "String @id",
  userId: "String?",
  agentName: "String?",
  status: 'String @default("active")',
  currentRoute: "String?",
  currentStep: "String?",
  collectedData: "Json?",
  messageCount: "Int @default(0)",
  lastMessageAt: "DateTime?",
  completedAt: "DateTime?",
  createdAt: "DateTime @default(now())",
  updatedAt: "DateTime @updatedAt",
  life: 'String @default("")',
  revision: 'String @default("")',
  version: 'String @default("")',
  firstSequence: "Int @default(1)",
  expiresAt: "DateTime?",
  dirty: "Boolean @default(false)",
  system: 'String @default("")',
} as const;

/** The fields of the message model that the adapter reads and writes; its `id` is the application's own. */
const messageFields = {
  sessionId: "String",
  userId: "String?",
  role: "String",
  content: "String",
  route: "String?",
  step: "String?",
  toolCalls: "Json?",
  event: "Json?",
  createdAt: "DateTime @default(now())",
  log: 'String @default("")',
  sequence: "Int @default(0)",
  body: 'String @default("")',
} as const;

/** The fields of the record model. */
const recordFields = {
  scope: "String",
  key: "String",
  value: "String?",
  revision: "String",
  stamp: "String",
  place: "String",
} as const;

/** What the columns of MySQL and MariaDB have to hold, whose texts are short unless it is said. None of these long ones has a default. */
const mysqlTypes: { readonly [field: string]: string } = {
  id: "@db.VarChar(128)",
  userId: "@db.VarChar(255)",
  agentName: "@db.VarChar(255)",
  status: "@db.VarChar(32)",
  currentRoute: "@db.Text",
  currentStep: "@db.Text",
  system: "@db.LongText",
  sessionId: "@db.VarChar(128)",
  content: "@db.LongText",
  route: "@db.Text",
  step: "@db.Text",
  body: "@db.LongText",
  scope: "@db.VarChar(256)",
  key: "@db.VarChar(256)",
  value: "@db.LongText",
  place: "@db.VarChar(1026)",
};

export type SessionField = keyof typeof sessionFields;
export type MessageField = keyof typeof messageFields;
export type RecordField = keyof typeof recordFields;

/** How the application calls its models and their fields, by our names for them. */
export interface NameOptions {
  /**
   * Default: `AgentSession`, `AgentMessage` and `AgentRecord`. Without a model `AgentRecord` the adapter keeps no records; one
   * that is named here has to be there.
   */
  readonly tables?:
    { readonly sessions?: string; readonly messages?: string; readonly records?: string } | undefined;
  /** Default: as in the fragment. `messages` of a session is the relation to its messages. */
  readonly fieldMappings?:
    | {
        readonly sessions?: { readonly [field in SessionField | "messages"]?: string };
        readonly messages?: { readonly [field in MessageField]?: string };
        readonly records?: { readonly [field in RecordField]?: string };
      }
    | undefined;
}

/** The names that calls of the client use. */
export interface Names {
  readonly sessions: {
    readonly model: string;
    readonly fields: { readonly [field in SessionField]: string };
  };
  /** The relation of a session to its messages. */
  readonly relation: string;
  readonly messages: {
    readonly model: string;
    readonly fields: { readonly [field in MessageField]: string };
  };
  readonly records: {
    readonly model: string;
    /** Whether the application has said that there is such a model. */
    readonly isNamed: boolean;
    readonly fields: { readonly [field in RecordField]: string };
  };
}

/** @throws `INVALID_CONFIGURATION` for a mapping of what is no field, or of two fields to one. */
export function namesOf({ tables = {}, fieldMappings = {} }: NameOptions): Names {
  const { messages: relation = "messages", ...ofSessions } = fieldMappings.sessions ?? {};
  return {
    sessions: {
      model: tables.sessions ?? "AgentSession",
      fields: mapped(sessionFields, ofSessions, "sessions"),
    },
    relation,
    messages: {
      model: tables.messages ?? "AgentMessage",
      fields: mapped(messageFields, fieldMappings.messages ?? {}, "messages"),
    },
    records: {
      model: tables.records ?? "AgentRecord",
      isNamed: tables.records !== undefined,
      fields: mapped(recordFields, fieldMappings.records ?? {}, "records"),
    },
  };
}

function mapped<Field extends string>(
  fields: { readonly [field in Field]: string },
  mapping: { readonly [field in Field]?: string },
  of: string,
): { [field in Field]: string } {
  for (const name of Object.keys(mapping)) {
    if (!Object.hasOwn(fields, name))
      throw invalid(
        "new PrismaAdapter",
        `\`fieldMappings.${of}\` names \`${name}\`, and there is no such field; there are ${Object.keys(fields).join(", ")}`,
      );
  }
  const own = Object.fromEntries(Object.keys(fields).map((name) => [name, nameOf(mapping, name) ?? name]));
  const names = Object.assign({}, fields, own);
  if (new Set(Object.values(names)).size < Object.keys(names).length)
    throw invalid("new PrismaAdapter", `\`fieldMappings.${of}\` gives one name to two fields`);
  return names;
}

function nameOf(mapping: object, field: string): string | undefined {
  const name: unknown = Reflect.get(mapping, field);
  if (name === undefined || typeof name === "string") return name;
  throw invalid("new PrismaAdapter", `\`fieldMappings\` gives \`${field}\` a name that is no text`);
}

/** The models of the client. */
export interface Models {
  readonly sessions: Model;
  readonly messages: Model;
}

/** @throws `INVALID_CONFIGURATION` where the client has no model of the name. */
export function modelsOf(client: PrismaClientLike, { sessions, messages }: Names): Models {
  return { sessions: modelOf(client, sessions.model), messages: modelOf(client, messages.model) };
}

/** A schema of an earlier fragment has no such model, and goes on as it was. */
export function keepsRecords(client: PrismaClientLike, { records }: Names): boolean {
  return records.isNamed || findModel(client, records.model) !== undefined;
}

/** @throws `INVALID_CONFIGURATION` where the client has no model of the name. */
export function recordModelOf(client: PrismaClientLike, { records }: Names): Model {
  return modelOf(client, records.model);
}

function modelOf(client: PrismaClientLike, name: string): Model {
  const found = findModel(client, name);
  if (found !== undefined) return found;
  throw invalid(
    "initialize",
    `the client has no model \`${name}\`; paste the fragment of the package into schema.prisma and run ` +
      "`prisma generate`, or name yours in `tables`",
  );
}

/**
 * Compares the client with what the adapter uses: first the fields that it knows of, then, by two reads that find nothing,
 * the relation, the key of messages, and the tables themselves.
 * @throws `INVALID_CONFIGURATION` with the lines to paste.
 */
export async function checkModels(
  client: PrismaClientLike,
  names: Names,
  kind: Server["kind"],
): Promise<void> {
  const models = modelsOf(client, names);
  await checkFields(models.sessions, names.sessions, sessionFields, kind);
  await checkFields(models.messages, names.messages, messageFields, kind);
  const { sessionId, sequence, log } = names.messages.fields;
  const nobody = { [names.sessions.fields.id]: "" };
  const messages = { select: { [log]: true }, take: 1 };
  await probe(
    () => models.sessions.findUnique({ where: nobody, select: { [names.relation]: messages } }),
    `the model \`${names.sessions.model}\` lacks the relation to its messages`,
    [`${names.relation} ${names.messages.model}[]`],
  );
  const key = { [sessionId]: "", [sequence]: 0, [log]: "" };
  await probe(
    () =>
      models.messages.findUnique({
        where: { [`${sessionId}_${sequence}_${log}`]: key },
        select: { [log]: true },
      }),
    `the model \`${names.messages.model}\` lacks the key of its entries, which has this order and no name`,
    [`@@unique([${sessionId}, ${sequence}, ${log}])`],
  );
  if (keepsRecords(client, names)) await checkRecords(recordModelOf(client, names), names.records, kind);
}

async function checkRecords(model: Model, records: Names["records"], kind: Server["kind"]): Promise<void> {
  await checkFields(model, records, recordFields, kind);
  const { scope, key } = records.fields;
  await probe(
    () =>
      model.findUnique({
        where: { [`${scope}_${key}`]: { [scope]: "", [key]: "" } },
        select: { [key]: true },
      }),
    `the model \`${records.model}\` lacks the key of its records, which has this order and no name`,
    [`@@id([${scope}, ${key}])`],
  );
}

async function checkFields<Field extends string>(
  found: Model,
  { model, fields }: { readonly model: string; readonly fields: { readonly [field in Field]: string } },
  declared: { readonly [field in Field]: string },
  kind: Server["kind"],
): Promise<void> {
  const missing: string[] = [];
  const problems: string[] = [];
  const lines: string[] = [];
  for (const [field, declaration] of Object.entries<string>(declared)) {
    const name = String(Reflect.get(fields, field));
    const line = `${name} ${declarationOf(field, declaration, kind)}`;
    const present: unknown = Reflect.get(found.fields, name);
    if (!isObject(present)) {
      missing.push(line);
      continue;
    }
    const problem = await problemOf(found, name, present, declaration);
    if (problem === null) continue;
    const why =
      field === "id" || field === "sessionId"
        ? "; the id of a session is a text that the application chooses"
        : "";
    problems.push(`the field \`${name}\` of \`${model}\` ${problem}${why}`);
    lines.push(line);
  }
  if (problems.length > 0) throw invalid("initialize", problems.join(", ") + toPaste(lines));
  if (missing.length > 0)
    throw invalid("initialize", `the model \`${model}\` lacks fields${toPaste(missing)}`);
}

function declarationOf(field: string, declaration: string, kind: Server["kind"]): string {
  const type = kind === "MySQL" ? mysqlTypes[field] : undefined;
  if (type === undefined) return declaration;
  return `${type === "@db.LongText" ? declaration.replace(' @default("")', "") : declaration} ${type}`;
}

async function problemOf(
  model: Model,
  name: string,
  { typeName: type, isEnum }: Record<string, unknown>,
  declaration: string,
): Promise<string | null> {
  const [, wanted = "", mark] = /^(\w+)(\?)?/.exec(declaration) ?? [];
  // An enum holds texts too.
  if (type !== wanted && !(wanted === "String" && isEnum === true))
    return `is ${String(type)} and has to be ${wanted}`;
  const isOptional = await canBeNull(model, name);
  if (isOptional === (mark === "?")) return null;
  return isOptional ? "is optional and has to be required" : "is required and has to be optional";
}

/** Only of a field that can be null Prisma takes the word where nulls are to be. It answers without the database. */
async function canBeNull(model: Model, name: string): Promise<boolean> {
  try {
    const orderBy = { [name]: { sort: "asc", nulls: "last" } };
    await model.findMany({ orderBy, take: 0, select: { [name]: true } });
    return true;
  } catch (cause) {
    if (codeOf(cause) === "PrismaClientValidationError") return false;
    throw cause;
  }
}

async function probe(
  call: () => PromiseLike<unknown>,
  problem: string,
  lines: readonly string[],
): Promise<void> {
  const doing = { operation: "initialize" };
  await run(doing, async () => {
    try {
      await call();
    } catch (cause) {
      if (codeOf(cause) !== "PrismaClientValidationError") throw cause;
      throw invalid("initialize", problem + toPaste(lines));
    }
  });
}

function toPaste(lines: readonly string[]): string {
  const text = lines.map((line) => `\n  ${line}`).join("");
  return `. Paste into it, or map what you have by \`fieldMappings\`:\n${text}\n`;
}

function invalid(operation: string, message: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `${operation}: ${message}`, { operation });
}
