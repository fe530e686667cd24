/** The last minutes of a few values, as the columns a chart takes. */

/** Points kept: five minutes at four a second. */
export const trendPointsMax = 1_200;

/** A bounded history of values that are sampled together. */
export interface Trend {
  /** Adds a sample; null is a gap. The oldest goes once `trendPointsMax` is reached. */
  add(timeS: number, values: readonly (number | null)[]): void;
  /** Times, then one column a value. */
  columns(): [number[], ...(number | null)[][]];
}

/** Creates an empty history of `width` values. */
export function createTrend(width: number): Trend {
  const times: number[] = [];
  const columns: (number | null)[][] = Array.from({ length: width }, () => []);
  return {
    add: (timeS, values) => {
      times.push(timeS);
      columns.forEach((column, index) => void column.push(values[index] ?? null));
      if (times.length <= trendPointsMax) return;
      times.shift();
      for (const column of columns) column.shift();
    },
    columns: () => [times, ...columns],
  };
}
