type Query = (text: string, ...values: unknown[]) => Promise<readonly Record<string, unknown>[]>;

/** What is in the tables, without the adapter: for databases whose parameters are question marks. */
export function rawOf(query: Query) {
  const count = async (table: string, column: string, id: string): Promise<number> => {
    const [row] = await query(`SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`, id);
    return Number(row?.["n"]);
  };
  return {
    session: async (id: string) => (await count("agent_sessions", "id", id)) > 0,
    messages: (id: string) => count("agent_messages", "session_id", id),
  };
}
