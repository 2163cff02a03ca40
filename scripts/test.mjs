// All tests: Rust, then types, then TypeScript. Arguments go to vitest; with some, only vitest runs.
import { spawnSync } from 'node:child_process';

const args = process.argv.slice(2);
if (args.length === 0) {
  // Without optimisation the runtime is too slow for what the tests run in it.
  run('cargo', 'test', '--workspace', '--release', '--locked', '--quiet');
  run('npx', 'tsc', '-p', '__test__/tsconfig.json');
}
run('npx', 'vitest', 'run', ...args);

function run(command, ...args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
