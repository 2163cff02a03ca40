/** What signals end. Node warns of more than ten listeners of one, so each signal gets one listener for all that wait for it. */

interface Waiting {
  acts: Set<() => void>;
  listener: () => void;
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/** Has something done when a signal aborts that has not yet; returns what takes that back. */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const { acts, listener } = waiting.get(signal) ?? listenTo(signal);
  acts.add(act);
  return () => {
    if (!acts.delete(act) || acts.size > 0) return;
    signal.removeEventListener('abort', listener);
    waiting.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Waiting {
  const acts = new Set<() => void>();
  const listener = () => acts.forEach((act) => act());
  signal.addEventListener('abort', listener, { once: true });
  waiting.set(signal, { acts, listener });
  return { acts, listener };
}
