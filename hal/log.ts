import { type DestinationStream, type Logger, pino } from "pino";

export type { Logger } from "pino";

/** Copies a log record with every bigint as a decimal string: pino would write a bare, unreadable number. */
export function withDecimalBigints(value: unknown, depth = 0): unknown {
  if (typeof value === "bigint") return value.toString();
  if (depth > 6 || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withDecimalBigints(item, depth + 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withDecimalBigints(item, depth + 1)]),
  );
}

/** Creates the program's logger: JSON lines, times as ISO strings, bigints as decimal strings. */
export function createLogger(
  options: { readonly level?: string; readonly destination?: DestinationStream } = {},
): Logger {
  const settings = {
    level: options.level ?? "info",
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (record: Record<string, unknown>) =>
        withDecimalBigints(record) as Record<string, unknown>,
    },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

/** A logger that writes nothing. */
export const silentLogger: Logger = pino({ level: "silent" });

/** Gives JSON with every bigint as a decimal string, the form in which times leave the program. */
export const toJson = (value: unknown, indent?: number): string =>
  JSON.stringify(
    value,
    (_key, item) => (typeof item === "bigint" ? item.toString() : item),
    indent,
  );
