/** The only writer of the terminal: results on standard output, everything else on standard error. */
import { toJson } from "../hal/log.ts";

/** A stream as the printer sees it; `process.stdout` is one. */
export interface TextSink {
  // biome-ignore lint/style/useNamingConvention: the name is the runtime's.
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Prints what commands find. */
export interface Printer {
  /** Characters that fit a line. */
  readonly columns: number;
  /** Writes a line of a result. */
  line(text?: string): void;
  /** Writes one JSON object a line; bigints become decimal strings. */
  json(value: unknown): void;
  /** Writes text as it is, for CSV. */
  raw(text: string): void;
  /** Writes rows in columns under a head; numbers of the last columns stand right where `right` says so. */
  table(
    head: readonly string[],
    rows: readonly (readonly string[])[],
    right?: readonly number[],
  ): void;
  /** Rewrites one line of progress on a terminal; elsewhere nothing is written. */
  progress(text: string): void;
  /** Takes the line of progress away. */
  endProgress(): void;
  /** Writes a sentence about the work, not part of the result, to standard error. */
  note(text: string): void;
  /** Sets a text in bold, or in red, where the terminal shows colours and NO_COLOR is not set. */
  strong(text: string): string;
  alarm(text: string): string;
}

/** Names of files, labels and notes are others' texts: what moves the cursor is shown, not done. */
export const printable = (text: string): string =>
  text.replaceAll(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );

// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences that set colours begin with one.
const colorSequence = /\u001b\[\d+m/g;
/** What stands before a line's text: blanks, or a short first column with two blanks after it. */
const lineHead = /^(?: *\S.{0,10}? {2,}| *)(?=\S)/;

/** Breaks a line between words where it is longer than `columns`; what follows stands below its text. */
export function wrapWords(text: string, columns: number): string {
  const indent = " ".repeat((lineHead.exec(text)?.[0] ?? "").length);
  const words = text.slice(indent.length).split(" ");
  const lines: string[] = [];
  let line = text.slice(0, indent.length);
  for (const [index, word] of words.entries()) {
    const longer = index === 0 ? `${line}${word}` : `${line} ${word}`;
    const isTooLong = longer.replaceAll(colorSequence, "").length > columns;
    if (index > 0 && isTooLong) lines.push(line.trimEnd());
    line = index > 0 && isTooLong ? `${indent}${word}` : longer;
  }
  return [...lines, line].join("\n");
}

const columnsWithoutTerminal = 100;
const columnsMin = 40;
const columnGap = "  ";

/** Creates the printer. */
export function createPrinter(options: {
  readonly output: TextSink;
  readonly errors: TextSink;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): Printer {
  const { output, errors, environment } = options;
  const { NO_COLOR: noColor } = environment;
  const hasColor = output.isTTY === true && (noColor === undefined || noColor === "");
  const columns = Math.max(columnsMin, output.columns ?? columnsWithoutTerminal);
  let progressShown = "";
  const endProgress = (): void => {
    if (progressShown === "") return;
    errors.write("\r\u001b[K");
    progressShown = "";
  };
  const wrapped = (text: string, sink: TextSink): string =>
    sink.isTTY === true ? wrapWords(text, columns) : text;
  const line = (text = ""): void => {
    endProgress();
    output.write(`${wrapped(text, output)}\n`);
  };
  const styled = (code: number) => (text: string) =>
    hasColor ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    columns,
    line,
    json: (value) => {
      endProgress();
      output.write(`${toJson(value)}\n`);
    },
    raw: (text) => {
      endProgress();
      output.write(text);
    },
    table: (head, rows, right = []) => {
      for (const row of layOutTable([head, ...rows], right)) line(row);
    },
    progress: (text) => {
      if (errors.isTTY !== true || text === progressShown) return;
      errors.write(`\r\u001b[K${text.slice(0, columns - 1)}`);
      progressShown = text;
    },
    endProgress,
    note: (text) => {
      endProgress();
      const lines = text.split("\n").map((each) => wrapped(printable(each), errors));
      errors.write(`${lines.join("\n")}\n`);
    },
    strong: styled(1),
    alarm: styled(31),
  };
}

/** Lays rows out in columns as wide as their widest cell. */
export function layOutTable(
  rows: readonly (readonly string[])[],
  right: readonly number[],
): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? "";
        return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      })
      .join(columnGap)
      .trimEnd(),
  );
}
