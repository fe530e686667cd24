/** Sentences and figures that several commands print. */
import type { LossInterval } from "../hal/tags/loss-interval.ts";
import type { Figure } from "../hal/tags/measurements.ts";
import { formatPs } from "../hal/units.ts";
import { formatQuantity, rateStyle } from "../web/quantity.ts";
import type { Printer } from "./print.ts";

const lossesShownMax = 20;

/** Gives a rate with its uncertainty; a dash where there was no live time. */
export const rateText = (rateHz: Figure | null): string => formatQuantity(rateHz, "/s", rateStyle);

/** Says in a sentence what was lost. */
export function lossSentence(lostTags: number | null, intervals: number): string {
  if (intervals === 0 && lostTags === 0) return "no tag lost";
  const where = `in ${intervals} ${intervals === 1 ? "interval" : "intervals"}`;
  return lostTags === null
    ? `tags lost ${where}, how many is not known`
    : `${lostTags} tags lost ${where}`;
}

/** Prints the sentence and the first losses one by one. */
export function printLosses(
  printer: Printer,
  found: { readonly lostTags: number | null; readonly losses: readonly LossInterval[] },
): void {
  const { lostTags, losses } = found;
  printer.line(lossSentence(lostTags, losses.length));
  for (const { fromPs, toPs, count, cause } of losses.slice(0, lossesShownMax)) {
    printer.line(`  ${cause}: ${count ?? "?"} tags in [${formatPs(fromPs)}, ${formatPs(toPs)})`);
  }
  const hidden = losses.length - lossesShownMax;
  if (hidden > 0) printer.line(`  ... and ${hidden} more`);
}
