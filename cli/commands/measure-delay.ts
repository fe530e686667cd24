import type { Command } from "commander";
import type { DelayResult, DelaySpec, HistogramSpec } from "../../hal/tags/measurements.ts";
import { type Ps, ps } from "../../hal/units.ts";
import { formatQuantity } from "../../web/quantity.ts";
import { type ChannelName, type CommandContext, channelArgument } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import {
  countPeaks,
  falseAlarmMax,
  type PeakCount,
  peaksWarnings,
  significanceText,
} from "../measurement-warnings.ts";
import {
  addMeasurement,
  measureOne,
  type OutputOptions,
  printWarnings,
  timeOption,
  type Wiring,
} from "../measuring.ts";
import type { Printer } from "../print.ts";
import { measureRecording, openRecordingSession } from "../recording-session.ts";

interface DelayOptions extends OutputOptions {
  readonly start: ChannelName;
  readonly stop: ChannelName;
  readonly range: Ps;
}

/** Adds `measure delay FILE`: where two channels are correlated. */
export function addDelay(measure: Command, context: CommandContext): void {
  addMeasurement(
    measure,
    "delay",
    "find the delay to add to the stop channel so that correlated tags coincide; exit code 3 when there is none",
  )
    .option(
      "--start <channel>",
      "channel of the starts, by number from 0 or by name",
      channelArgument,
      0,
    )
    .option(
      "--stop <channel>",
      "channel of the stops, by number from 0 or by name",
      channelArgument,
      1,
    )
    .addOption(timeOption("--range <time>", "largest delay looked at", ps(1_000_000n)))
    .action((path: string, options: DelayOptions) =>
      context.run(async () => {
        const { start, stop, range: rangePs } = options;
        const specOf = ({ number }: Wiring): DelaySpec => ({
          ...{ kind: "delay", start: number(start), stop: number(stop), rangePs },
        });
        const { result, verdict } = await measureOne(path, specOf, context);
        const record = delayRecord(result, await peaksWithin(path, result, options, context));
        printDelay(context.printer, record, options);
        return record.delayPs === null ? exitCodes.problemsFound : verdict;
      }),
    );
}

interface DelayRecord {
  readonly delayPs: number | null;
  readonly uncertaintyPs: number | null;
  readonly windowPs: bigint | null;
  readonly pairs: number;
  readonly background: number;
  readonly significance: number | null;
  readonly falseAlarmProbability: number | null;
  readonly peaks: number;
  readonly peakSpacingPs: bigint | null;
  readonly warnings: readonly string[];
}

/** Bins in which separate peaks are looked for. */
const peakBinsMax = 2n ** 16n;

/** Reads the recording again, in fine bins: whether the peak that was found is the only one. */
async function peaksWithin(
  path: string,
  { found, start, stop }: DelayResult,
  { range: rangePs }: DelayOptions,
  { signal }: CommandContext,
): Promise<PeakCount> {
  const noPeaks = { peaks: 0, spacingPs: null };
  if (found === null || found.falseAlarmProbability > falseAlarmMax) return noPeaks;
  const binPs = (2n * rangePs + peakBinsMax - 1n) / peakBinsMax;
  const spec: HistogramSpec = { kind: "histogram", start, stop, binPs, rangePs };
  const { results } = await measureRecording(await openRecordingSession(path), [spec], signal);
  const [histogram] = results;
  return histogram?.kind === "histogram" ? countPeaks(histogram.counts, binPs) : noPeaks;
}

function delayRecord({ found }: DelayResult, count: PeakCount): DelayRecord {
  if (found === null) return nothingFound;
  const { delayPs, windowPs, pairs, background, significance, falseAlarmProbability } = found;
  const chance = { background, significance, falseAlarmProbability };
  if (falseAlarmProbability > falseAlarmMax) return { ...nothingFound, ...chance };
  const { value, uncertainty } = delayPs;
  const { peaks, spacingPs } = count;
  const competition = { peaks, peakSpacingPs: spacingPs, warnings: peaksWarnings(count) };
  return {
    ...{ delayPs: Math.round(value), uncertaintyPs: uncertainty, windowPs, pairs },
    ...{ ...chance, ...competition },
  };
}

const nothingFound: DelayRecord = {
  ...{ delayPs: null, uncertaintyPs: null, windowPs: null, pairs: 0, background: 0 },
  ...{ significance: null, falseAlarmProbability: null },
  ...{ peaks: 0, peakSpacingPs: null, warnings: [] },
};

function printDelay(
  printer: Printer,
  record: DelayRecord,
  { json, csv, start, stop }: DelayOptions,
): void {
  const { delayPs, uncertaintyPs, pairs, background } = record;
  if (json) {
    // A time is a decimal string in JSON, as everywhere.
    printer.json({ ...record, delayPs: delayPs === null ? null : String(delayPs) });
  } else if (csv) {
    printer.line("delay_ps,uncertainty_ps,pairs,background");
    printer.line(`${delayPs ?? ""},${uncertaintyPs ?? ""},${pairs},${background}`);
  } else if (delayPs === null) {
    printer.line(`channels ${start} and ${stop} show no correlation; look at a wider --range`);
  } else {
    const delay = { value: delayPs / 1e12, uncertainty: (uncertaintyPs ?? 0) / 1e12 };
    printer.line(`delay of channel ${stop}   ${formatQuantity(delay, "s")}`);
    printer.line(`pairs in the peak    ${pairs}, ${background.toFixed(1)} expected without it`);
    printer.line(`stands out by        ${significanceText(record.significance ?? 0)}`);
    if (record.warnings.length === 0) {
      printer.line(`use it as            --delay ${stop}=${delayPs}ps`);
    }
  }
  if (!json) printWarnings(printer, record.warnings);
}
