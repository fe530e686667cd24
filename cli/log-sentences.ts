/** Logs for people: one readable line for each warning, where `--verbose` writes the whole records as JSON. */
import type { Printer } from "./print.ts";

interface LogRecord {
  readonly level?: unknown;
  readonly msg?: unknown;
  readonly node?: unknown;
  readonly device?: unknown;
  readonly instrument?: unknown;
  readonly reason?: unknown;
}

/** Gives a destination for `createLogger` that prints through `printer`, so that no line is broken by progress. */
export const logSentences = (printer: Printer): { readonly write: (line: string) => void } => ({
  write: (line) => printer.note(sentenceOf(line)),
});

/** Gives `warning: alice/tagger: what happened: why`; a line that is no log record is given as it is. */
export function sentenceOf(line: string): string {
  const record = parse(line);
  if (record === null) return line.trimEnd();
  const { level, msg, node, device, instrument, reason } = record;
  const isText = (part: unknown): part is string => typeof part === "string" && part !== "";
  const place = [node, device ?? instrument].filter(isText).join("/");
  return [level === "warn" ? "warning" : level, place, msg, reason].filter(isText).join(": ");
}

function parse(line: string): LogRecord | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}
