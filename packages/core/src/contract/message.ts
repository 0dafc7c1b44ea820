/** Who said it. */
export type Role = "user" | "assistant" | "system" | "tool";

/** A call of a tool, with its result once there is one. Values may be anything that the codec keeps. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  readonly result?: unknown;
  readonly error?: string;
}

/** Something said in a conversation. The same shape is history for the agent and input for a save. */
export interface Message {
  readonly role: Role;
  readonly content: string;
  /** Ids of the route and step in which it was said. */
  readonly route?: string | undefined;
  readonly step?: string | undefined;
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** Anything else that belongs to the message; kept as it is. */
  readonly event?: unknown;
  /** Default: the time of the save. */
  readonly createdAt?: Date | undefined;
  /** Set by the store, from 1, without gaps. A message that has one is stored already. */
  readonly sequence?: number | undefined;
}

/** A message as it is read back. */
export interface StoredMessage extends Message {
  readonly sequence: number;
  readonly createdAt: Date;
}
