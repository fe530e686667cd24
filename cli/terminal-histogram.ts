/** Draws a histogram with block characters, its axis in nanoseconds. */

/** Counts against time: bin i covers [fromPs + i binPs, fromPs + (i + 1) binPs). */
export interface TerminalHistogram {
  readonly fromPs: number;
  readonly binPs: number;
  readonly counts: readonly number[];
}

const eighths = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const rowsDefault = 10;
/** Room beside the bars for the axis, its labels and the unit; what else is left may hold bars. */
export const marginColumns = 14;

/** Gives the lines of a drawing at most `columns` wide; neighbouring bins are added where they do not fit. */
export function drawHistogram(
  histogram: TerminalHistogram,
  options: { readonly columns: number; readonly rows?: number },
): readonly string[] {
  const { rows = rowsDefault } = options;
  const { sums, binsPerColumn } = sumInto(histogram.counts, options.columns - marginColumns);
  const peak = Math.max(1, ...sums);
  const labelWidth = String(peak).length;
  const label = (text: string): string => text.padStart(labelWidth);
  const drawn = Array.from({ length: rows }, (_, row) => {
    const floor = rows - 1 - row;
    const bars = sums.map((sum) => barPiece((sum / peak) * rows - floor)).join("");
    return `${label(row === 0 ? String(peak) : "")} │${bars.trimEnd()}`;
  });
  return [
    ...drawn,
    `${label("0")} └${"─".repeat(sums.length)}`,
    `${label("")}  ${axisLabels(histogram, sums.length, binsPerColumn)}`,
  ];
}

/** Anything above nothing shows at least its lowest eighth. */
const barPiece = (height: number): string =>
  eighths[Math.max(0, Math.min(8, height > -1 && height <= 0 ? 0 : Math.ceil(height * 8)))] ?? " ";

function sumInto(
  counts: readonly number[],
  columns: number,
): { readonly sums: readonly number[]; readonly binsPerColumn: number } {
  const binsPerColumn = Math.max(1, Math.ceil(counts.length / Math.max(1, columns)));
  const sums = Array.from({ length: Math.ceil(counts.length / binsPerColumn) }, (_, column) =>
    counts
      .slice(column * binsPerColumn, (column + 1) * binsPerColumn)
      .reduce((sum, count) => sum + count, 0),
  );
  return { sums, binsPerColumn };
}

function axisLabels(histogram: TerminalHistogram, columns: number, binsPerColumn: number): string {
  const nsAt = (column: number): string =>
    String(
      Number(((histogram.fromPs + column * binsPerColumn * histogram.binPs) / 1e3).toPrecision(6)),
    );
  const left = nsAt(0);
  const middle = nsAt(columns / 2);
  const right = `${nsAt(columns)} ns`;
  const middleAt = Math.round(columns / 2 - middle.length / 2);
  const isRoomy = columns > left.length + middle.length + right.length + 4;
  const start = isRoomy ? `${left.padEnd(middleAt)}${middle}` : left;
  return `${start}${right.padStart(Math.max(right.length + 1, columns - start.length))}`;
}
