// What requiring the package costs, against LiteSVM's: new processes that take turns.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { row } from './measure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
// LiteSVM brings @solana/kit, which is most of its time; its addon alone is the harder peer.
const OURS = 'async-bpf';
const PEER = 'litesvm';
const PEERS_ADDON = 'litesvm-linux-x64-gnu';

export default async function requiring({ quick }) {
  const rounds = quick ? 5 : 25;
  const times = { [OURS]: [], [PEER]: [], [PEERS_ADDON]: [] };
  // The first of each reads its files from the disk.
  for (let round = -1; round < rounds; round++) {
    for (const [name, list] of Object.entries(times)) {
      const time = milliseconds(name);
      if (round >= 0) list.push(time);
    }
  }
  const against = (peer) => times[OURS].map((time, round) => time / times[peer][round]);
  return [
    row(`require('${OURS}')`, 'ms', null, times[OURS]),
    row(`require('${PEER}')`, 'ms', null, times[PEER]),
    row(`require('${OURS}')`, "of the peer's time", `require('${PEER}')`, against(PEER), 2),
    row(`require('${OURS}')`, "of the peer's time", `require('${PEERS_ADDON}'), its addon alone`, against(PEERS_ADDON)),
  ];
}

/** How long a new process takes to require a package; a package can require itself by its name. */
function milliseconds(name) {
  const script = `const start = process.hrtime.bigint(); require('${name}'); console.log(Number(process.hrtime.bigint() - start) / 1e6);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout);
}
