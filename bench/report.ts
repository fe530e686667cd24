/** How figures are printed: a table for people, one JSON object a line for scripts. */
import type { FigureLine } from "./race.ts";

/** Three significant digits. */
function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return value.toFixed(0);
  return magnitude >= 10
    ? value.toFixed(1)
    : magnitude >= 0.1
      ? value.toFixed(2)
      : value.toPrecision(2);
}

/** Whether smaller is better. */
const isCost = (unit: string): boolean => unit === "s" || unit === "ms" || unit === "cores";

/** Tells how a figure stands to its target; empty where there is none. */
export function verdictOf(line: FigureLine): string {
  const { ratio, ratioTarget, target, median, unit, peer } = line;
  if (ratio !== undefined && ratioTarget !== undefined) {
    return ratio >= ratioTarget ? `>= ${ratioTarget} met` : `>= ${ratioTarget} MISSED`;
  }
  if (target === null || peer !== undefined) return "";
  const isMet = isCost(unit) ? median < target : median >= target;
  return `${isCost(unit) ? "<" : ">="} ${target} ${isMet ? "met" : "MISSED"}`;
}

const headings = ["figure", "median", "min", "max", "unit", "target"] as const;
const widths = [32, 9, 9, 9, 9, 16];

const row = (cells: readonly string[]): string =>
  cells
    .map((cell, at) =>
      at === 0 || at >= 4
        ? cell.padEnd(widths[at] ?? 0)
        : cell.padStart(widths[at] ?? 0).concat(" "),
    )
    .join(" ")
    .trimEnd();

/** The table's first line. */
export const tableHeading = (): string => row(headings);

/** One line of the table: a figure, or its ratio to a peer. */
export function tableLine(line: FigureLine): string {
  const { name, unit, median, min, max, peer } = line;
  if (peer === undefined) {
    return row([name, short(median), short(min), short(max), unit, verdictOf(line)]);
  }
  const { ratio = Number.NaN, ratioMin = Number.NaN, ratioMax = Number.NaN } = line;
  const theirs = `  x ${peer} (${short(line.peerMedian ?? Number.NaN)} ${unit})`;
  return row([theirs, short(ratio), short(ratioMin), short(ratioMax), "times", verdictOf(line)]);
}

/** The line of the table that names a figure's data. */
export const dataSetLine = ({ dataSet, rounds }: FigureLine): string =>
  `  on ${dataSet}; ${rounds} rounds`;
