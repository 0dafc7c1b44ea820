// A scope begins with whose it is, so that no id of one kind is a scope of another; a life has no `/`.

/** The scope of the records of the whole application. */
export const applicationScope = "application";

/** The scope of a user's records. */
export function userScope(userId: string): string {
  return `user/${userId}`;
}

/** The scope of a session's records: of one life of its id, so that nothing of an earlier life is ever seen. */
export function sessionScope(id: string, life: string): string {
  return `session/${life}/${id}`;
}

/** The session that a scope belongs to, for a store that keeps its records with it. Null: it is of no session. */
export function sessionOfScope(scope: string): { readonly id: string; readonly life: string } | null {
  const match = /^session\/([^/]*)\/(.+)$/s.exec(scope);
  const [, life, id] = match ?? [];
  return life === undefined || id === undefined ? null : { id, life };
}
