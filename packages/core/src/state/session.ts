/** A route, as the state of a session refers to it. */
export interface RouteRef {
  id: string;
  title?: string | undefined;
}

/** A step of a route. */
export interface StepRef {
  id: string;
  routeId?: string | undefined;
  title?: string | undefined;
}

/** One stay in a route. */
export interface RouteHistoryEntry {
  routeId: string;
  enteredAt: Date;
  exitedAt?: Date | undefined;
  completed: boolean;
}

/** Times that Waymark keeps, and whatever else the application wants to keep with the session. */
export interface SessionMetadata {
  createdAt?: Date | undefined;
  updatedAt?: Date | undefined;
  [key: string]: unknown;
}

/**
 * Everything that a conversation stands on: what has been collected, and where it is. A plain object that may be changed
 * freely between saves.
 */
export interface SessionState<TData = unknown> {
  /** 1 to 128 bytes of UTF-8. A state without an id is not stored. */
  id?: string | undefined;
  /** What has been collected, over all routes. */
  data: Partial<TData>;
  /** The same, by the route that collected it. */
  dataByRoute: Record<string, Partial<TData>>;
  /** Routes entered, oldest first. A stored session keeps its newest 100 here. */
  routeHistory: RouteHistoryEntry[];
  currentRoute?: RouteRef | undefined;
  currentStep?: StepRef | undefined;
  metadata?: SessionMetadata | undefined;
  /** The stored version that this object was made from; written by every load and save. Absent: not stored yet. */
  version?: string | undefined;
}

/**
 * A new session, not stored yet.
 * @param init.data what is known already, copied one level deep; `init.metadata` may hold any fields of your own.
 */
export function createSession<TData = Record<string, unknown>>(
  init: { id?: string; data?: Partial<TData>; metadata?: SessionMetadata } = {},
): SessionState<TData> {
  const now = new Date();
  return {
    ...(init.id === undefined ? {} : { id: init.id }),
    data: { ...init.data },
    dataByRoute: {},
    routeHistory: [],
    metadata: { createdAt: now, updatedAt: now, ...init.metadata },
  };
}
