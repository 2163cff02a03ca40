// The executor against Mollusk and LiteSVM: npm run test:oracles -- [--runs N] [--seed S] [test…]
//
// They are built apart from the product, from other versions of some crates and with other features of most.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const usage = 'usage: npm run test:oracles -- [--runs N] [--seed S] [test…], where N is in [1, 100000000] and S in [0, 2^53)';

function read() {
  const { values, positionals } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } }, allowPositionals: true });
  const { runs, seed } = values;
  const env = { ...process.env };
  if (runs !== undefined) env.RUNS = checked('--runs', runs, 1, 1e8);
  if (seed !== undefined) env.SEED = checked('--seed', seed, 0, 2 ** 53 - 1);
  return { env, tests: positionals };
}

function checked(name, text, min, max) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max) throw new Error(`${name} ${text}`);
  return text;
}

try {
  const { env, tests } = read();
  const cargo = ['test', '--release', '--locked', '--manifest-path', 'oracles/Cargo.toml', '--target-dir', 'target/oracles'];
  const { status } = spawnSync('cargo', [...cargo, '--tests', '--', ...tests, '--show-output'], { stdio: 'inherit', env });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
}
