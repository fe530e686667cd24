import { LabError, type LabErrorCode } from "../errors.ts";

/** One thing that is wrong with a station file, at the place where it can be mended. */
export interface StationProblem {
  readonly code: LabErrorCode;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** What is wrong and what to do, without the place. */
  readonly message: string;
}

/** Problems shown at once; more would hide the first. */
const problemsShownMax = 20;

/** Prints a problem as editors and terminals understand it: `station.yaml:12:7: sentence`. */
export const formatProblem = (problem: StationProblem): string =>
  `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;

/**
 * Builds the error of a station file that cannot be used: its message has one line for each problem, by
 * line; its code is that of the first; `details.problems` has all of them.
 */
export function stationError(problems: readonly StationProblem[]): LabError {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const shown = sorted.slice(0, problemsShownMax).map(formatProblem);
  const hidden = sorted.length - shown.length;
  if (hidden > 0) shown.push(`... and ${hidden} more`);
  return new LabError(sorted[0]?.code ?? "station.invalid", shown.join("\n"), {
    details: { problems: sorted },
  });
}

/** Gives the number of insertions, deletions, substitutions and swaps of neighbours between two words (Damerau, 1964; optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}

const unitSuffix =
  /(Ps|Ns|Us|Ms|S|Hz|KHz|MHz|Db|DbPerKm|Dbm|Ppb|Ppm|Km|M|Nm|Ua|Ma|A|Mv|V|C|Mw|W|Percent)$/;
const wordsMax = 64;

/** Gives the word of `known` that was probably meant, or null. */
export function nearestOf(word: string, known: readonly string[]): string | null {
  if (word.length > wordsMax) return null;
  const distanceMax = Math.max(1, Math.floor(word.length / 3));
  let nearest: string | null = null;
  let nearestDistance = distanceMax + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** Says what to write in place of a word that nobody knows. */
export function adviceFor(word: string, known: readonly string[]): string {
  const stem = word.replace(unitSuffix, "").toLowerCase();
  const otherUnit = known.find(
    (key) =>
      key !== word && unitSuffix.test(key) && key.replace(unitSuffix, "").toLowerCase() === stem,
  );
  if (otherUnit !== undefined) {
    const unit = unitSuffix.exec(otherUnit)?.[0] ?? "";
    return `write ${otherUnit}: the value is in ${unit === "S" ? "s" : unitName(unit)}`;
  }
  const nearest = nearestOf(word, known);
  if (nearest !== null) return `did you mean "${nearest}"?`;
  return known.length === 0 ? "remove it" : `what can stand here: ${known.join(", ")}`;
}

const unitNames: ReadonlyMap<string, string> = new Map([
  ["Ma", "mA"],
  ["Hz", "Hz"],
  ["Db", "dB"],
  ["DbPerKm", "dB/km"],
  ["Dbm", "dBm"],
  ["V", "V"],
  ["C", "degrees Celsius"],
  ["A", "A"],
  ["W", "W"],
]);

/** Gives a unit as it is printed, from the end of a key: `Ma` is mA, `Ps` is ps. */
export const unitName = (suffix: string): string =>
  unitNames.get(suffix) ?? suffix.charAt(0).toLowerCase() + suffix.slice(1);

/** Gives the unit at the end of a key, as it is printed, or null. */
export function unitOfKey(key: string): string | null {
  const match = unitSuffix.exec(key.replace(/(Max|Min|Fwhm|Rms)$/, ""));
  return match === null ? null : unitName(match[0]);
}
