// Random scenarios, engine against reference model: npm run fuzz -- --runs N --seed S
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const usage = 'usage: npm run fuzz -- [--runs N] [--seed S], where N is in [1, 100000000] and S is a signed 32-bit integer';

function read() {
  const { values } = parseArgs({ options: { runs: { type: 'string', default: '2000' }, seed: { type: 'string' } } });
  const [runs, seed = Math.trunc(Math.random() * 2 ** 31)] = [Number(values.runs), values.seed && Number(values.seed)];
  if (!Number.isInteger(runs) || runs < 1 || runs > 1e8) throw new Error(`--runs ${values.runs}`);
  if (seed !== (seed | 0)) throw new Error(`--seed ${values.seed}`);
  return { runs, seed };
}

try {
  const { runs, seed } = read();
  const env = { ...process.env, FUZZ_RUNS: String(runs), FUZZ_SEED: String(seed) };
  const { status } = spawnSync('npx', ['vitest', 'run', '__test__/fuzz.test.ts'], { stdio: 'inherit', env });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
