/** Tags as comma-separated values (RFC 4180, `\n` ends lines): times are decimal picoseconds, exact. */

/** The first line. */
export const csvHeading = "time_ps,channel\n";

/** Gives the lines of a block of tags. */
export function encodeCsv(times: BigInt64Array, channels: Uint8Array): string {
  let lines = "";
  for (const [index, time] of times.entries()) lines += `${time},${channels[index] ?? 0}\n`;
  return lines;
}
