/**
 * Versions that are written within a transaction of the application's own, which may still be undone, as a whole or back to a
 * savepoint. Somebody else's write then comes to the same number with other contents: a state that had it would overwrite that
 * unseen. So states show such a version in a form that this manager alone takes for it, and everybody else refuses.
 */
export interface ProvisionalVersions {
  /** The session came to this version just now. */
  moved(id: string, version: string): void;
  /** What a state shows for a version. */
  shown(id: string, version: string): string;
  /** The version that a state stands for. */
  meantBy(shown: string): string;
}

export function createProvisionalVersions(newId: () => string): ProvisionalVersions {
  const forms = new Map<string, string>();
  const versions = new Map<string, string>();
  const keyOf = (id: string, version: string) => `${version}/${id}`;
  return {
    moved(id, version) {
      const key = keyOf(id, version);
      // What had this version before was undone.
      versions.delete(forms.get(key) ?? "");
      const form = `${version}~${newId()}`;
      forms.set(key, form);
      versions.set(form, version);
    },
    shown: (id, version) => forms.get(keyOf(id, version)) ?? version,
    meantBy: (shown) => versions.get(shown) ?? shown,
  };
}

/** For what is stored when it is acknowledged. */
export const storedVersions: ProvisionalVersions = {
  moved: () => {},
  shown: (_, version) => version,
  meantBy: (shown) => shown,
};
