/** What the process says as it ends; documented in `bellwether --help`. */
export const exitCodes = {
  ok: 0,
  /** An operating failure: one sentence on the standard error stream says which. */
  failed: 1,
  /** The command line itself was wrong. */
  usage: 2,
  /** It was done, and problems were found and named: a check that failed, a recording that is cut off. */
  problemsFound: 3,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
} as const;

/** One of the codes. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
