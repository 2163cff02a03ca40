/** How often each branch of each rule was taken, by `id` or `id#branch`. A test may clear it and read it. */
export const reached = new Map<string, number>();

/**
 * Marks the branch that follows a rule of `conformance/rules.json`. It only counts, and is always true, so that it can stand behind the
 * condition of its branch. Arguments are literal strings, so that a search finds every place.
 */
export function rule(id: string, branch = ''): true {
  const key = branch === '' ? id : `${id}#${branch}`;
  reached.set(key, (reached.get(key) ?? 0) + 1);
  return true;
}
