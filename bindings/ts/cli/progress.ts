import { performance } from 'node:perf_hooks';

const PERIOD = 100;
const CLEAR = '\r\u001b[K';

/** One line that is written over and over, on stderr and only for a person to see. */
export class Progress {
  readonly #total: number;
  readonly #stream: NodeJS.WriteStream;
  #next = performance.now() + PERIOD;
  #isShown = false;

  constructor(total: number, stream: NodeJS.WriteStream) {
    this.#total = total;
    this.#stream = stream;
  }

  update(done: number): void {
    if (!this.#stream.isTTY) return;
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + PERIOD;
    this.#isShown = true;
    this.#stream.write(
      `${CLEAR}slot ${done.toLocaleString('en')} of ${this.#total.toLocaleString('en')}, ${Math.floor((100 * done) / this.#total)} %`,
    );
  }

  clear(): void {
    if (this.#isShown) this.#stream.write(CLEAR);
    this.#isShown = false;
  }
}
