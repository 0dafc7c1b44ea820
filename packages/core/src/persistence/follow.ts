import type { SessionState } from "../state/session.js";

/** By session id, the state objects that take over what others save of the same session. */
export type Followers<TData> = Map<string, SessionState<TData>[]>;

/**
 * While `work` runs, a save of the state alone, made from the version that `session` has, is taken over into `session`. A
 * hook of a turn that saves the session of its own turn would otherwise make the turn conflict with itself. A turn of
 * somebody else brings messages that this one does not know, and stays a conflict.
 */
export async function following<TData, T>(
  followers: Followers<TData>,
  session: SessionState<TData>,
  work: () => Promise<T>,
): Promise<T> {
  const { id } = session;
  if (id === undefined) return work();
  const others = followers.get(id) ?? [];
  followers.set(id, [...others, session]);
  try {
    return await work();
  } finally {
    const left = [...(followers.get(id) ?? [])];
    left.splice(left.indexOf(session), 1);
    if (left.length === 0) followers.delete(id);
    else followers.set(id, left);
  }
}
