// A module that is no entry.
export const adapter = null;
