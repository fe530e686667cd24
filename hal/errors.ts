/** The layer in which a failure arose; the part of a code before the dot. */
export type LabErrorLayer =
  | "units"
  | "link"
  | "protocol"
  | "device"
  | "driver"
  | "station"
  | "tags"
  | "file"
  | "mock"
  | "channel"
  | "physical"
  | "pairs"
  | "key"
  | "command"
  | "web";

/** `layer.reason`, both in kebab-case: `link.timeout`, `station.unknown-key`, `tags.stale`. */
export type LabErrorCode = `${LabErrorLayer}.${string}`;

/**
 * An expected operating failure: a cable, a file, a peer, a setting. Its message is one sentence that
 * names the thing that failed and what to do. Misuse of the library is a built-in error instead.
 */
export class LabError extends Error {
  override readonly name = "LabError";
  readonly code: LabErrorCode;
  /** Facts that a handler or a log line needs: device, path, line, bytes received. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: LabErrorCode,
    message: string,
    options: {
      readonly details?: Readonly<Record<string, unknown>>;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Tells whether a value is a LabError, of one code or of one layer (`"link"`) when given. */
export function isLabError(
  value: unknown,
  codeOrLayer?: LabErrorCode | LabErrorLayer,
): value is LabError {
  if (!(value instanceof LabError)) return false;
  return (
    codeOrLayer === undefined ||
    value.code === codeOrLayer ||
    value.code.startsWith(`${codeOrLayer}.`)
  );
}

/** Gives the message of anything that was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);
