// Rows of the table, as bench/native/src/measure.rs describes them.

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

/** The median and the quartiles of what the rounds gave. A goal is the most, or the least, that the worse quartile may be. */
export function row(name, unit, peer, values, { atMost, atLeast } = {}) {
  const [p25, value, p75] = [0.25, 0.5, 0.75].map((q) => quantile(values, q));
  const [goal, met] =
    atMost !== undefined ? [`<= ${atMost}`, p75 <= atMost] : atLeast !== undefined ? [`>= ${atLeast}`, p25 >= atLeast] : [null, null];
  return { name, value, unit, peer, p25, p75, goal, met };
}

/**
 * Nanoseconds an operation of each contender, `{ operations, operation, prepare }`: `operation(n)` does n operations; `prepare(n)`, which is
 * not timed, makes them possible. They take turns, and of the turns the median counts: where others use the machine, a turn in which the
 * system ran something else says nothing.
 */
export function takeTurns(contenders, turns) {
  const times = contenders.map(() => []);
  for (let turn = 0; turn < turns; turn++) {
    contenders.forEach(({ operations, operation, prepare }, index) => {
      prepare?.(operations);
      const start = performance.now();
      operation(operations);
      times[index].push(((performance.now() - start) * 1e6) / operations);
    });
  }
  return times.map((each) => quantile(each, 0.5));
}
