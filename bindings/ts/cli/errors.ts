/** What the user gave cannot be used: exit code 2. One line that says where it is wrong and what was expected. */
export class InputError extends Error {}

/** The run failed: exit code 1. One line, and what the program logged. */
export class RunError extends Error {
  readonly logs: readonly string[];

  constructor(message: string, logs: readonly string[] = []) {
    super(message);
    this.logs = logs;
  }
}
