/** Where the reference model decides: every place in model/ that names the rule by which it does. */

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface Branch {
  /** As the model counts it: the rule's id, and the branch where a rule has several. */
  key: string;
  rule: string;
  file: string;
  line: number;
}

const MODEL = join(__dirname, '../../model');
const TAG = /\brule\(\s*'([^']+)'(?:,\s*'([^']+)')?\s*\)/g;

export function branches(): Branch[] {
  return readdirSync(MODEL)
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .flatMap((file) => {
      const text = readFileSync(join(MODEL, file), 'utf8');
      return [...text.matchAll(TAG)].map((match): Branch => {
        const [, rule, branch] = match as unknown as [string, string, string | undefined];
        const line = text.slice(0, match.index).split('\n').length;
        return { key: branch === undefined ? rule : `${rule}#${branch}`, rule, file, line };
      });
    });
}
