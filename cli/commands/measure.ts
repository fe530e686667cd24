import type { Command } from "commander";
import type { CoincidencesSpec, HistogramSpec, RatesSpec } from "../../hal/tags/measurements.ts";
import { formatPs, type Ps, ps } from "../../hal/units.ts";
import { formatQuantity, plainStyle } from "../../web/quantity.ts";
import {
  type ChannelName,
  type CommandContext,
  channelArgument,
  channelsArgument,
  type NamedDelays,
  positiveTimeArgument,
} from "../command.ts";
import { accidentalsWarnings } from "../measurement-warnings.ts";
import {
  addMeasurement,
  delayOption,
  measureOne,
  type OutputOptions,
  printWarnings,
  timeOption,
  type Wiring,
} from "../measuring.ts";
import { drawHistogram } from "../terminal-histogram.ts";
import { rateText } from "../wording.ts";
import { addDelay } from "./measure-delay.ts";

/** Adds `measure correlation|coincidences|delay|rates FILE`. */
export function addMeasureCommand(program: Command, context: CommandContext): void {
  const measure = program.command("measure").description("measure on a recording");
  addCorrelation(measure, context);
  addCoincidences(measure, context);
  addDelay(measure, context);
  addRates(measure, context);
}

interface CorrelationOptions extends OutputOptions {
  readonly start: ChannelName;
  readonly stop: ChannelName;
  readonly bin: Ps;
  readonly range: Ps;
  readonly delay: NamedDelays;
}

function addCorrelation(measure: Command, context: CommandContext): void {
  addMeasurement(
    measure,
    "correlation",
    "histogram of stop minus start, all pairs, in [-range, range)",
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
    .addOption(timeOption("--bin <time>", "width of a bin", ps(1_000n)))
    .addOption(timeOption("--range <time>", "largest difference", ps(100_000n)))
    .addOption(delayOption())
    .action((path: string, options: CorrelationOptions) =>
      context.run(async () => {
        const { start, stop, bin: binPs, range: rangePs, delay } = options;
        const specOf = ({ number, delays }: Wiring): HistogramSpec => ({
          ...{ kind: "histogram", start: number(start), stop: number(stop) },
          ...{ binPs, rangePs, delaysPs: delays(delay) },
        });
        const { result, verdict } = await measureOne(path, specOf, context);
        const { fromPs, counts } = result;
        const { printer } = context;
        if (options.json) {
          printer.json({ binPs: result.binPs, fromPs, counts: [...counts] });
        } else if (options.csv) {
          printer.line("from_ps,count");
          counts.forEach((count, index) => {
            printer.line(`${fromPs + BigInt(index) * result.binPs},${count}`);
          });
        } else {
          const drawn = { fromPs: Number(fromPs), binPs: Number(binPs), counts: [...counts] };
          printer.line(`${result.pairs} pairs, channel ${stop} minus channel ${start}`);
          for (const line of drawHistogram(drawn, printer)) printer.line(line);
        }
        return verdict;
      }),
    );
}

interface CoincidencesOptions extends OutputOptions {
  readonly channels: readonly ChannelName[];
  readonly window: Ps;
  readonly delay: NamedDelays;
  readonly spacing?: Ps;
}

function addCoincidences(measure: Command, context: CommandContext): void {
  addMeasurement(measure, "coincidences", "pairs of two channels within a window, and accidentals")
    .option(
      "--channels <a,b>",
      "two channels, by number from 0 or by name",
      channelsArgument,
      [0, 1],
    )
    .addOption(timeOption("--window <time>", "full width of the window", ps(1_000n)))
    .addOption(delayOption())
    .option(
      "--spacing <time>",
      "distance of the displaced windows that count accidentals; a multiple of the period of pulsed light",
      positiveTimeArgument,
    )
    .action((path: string, options: CoincidencesOptions, command: Command) =>
      context.run(async () => {
        const [first, second, ...more] = options.channels;
        if (first === undefined || second === undefined || more.length > 0) {
          command.error("error: --channels takes two channels, such as 0,1");
        }
        const specOf = ({ number, delays }: Wiring): CoincidencesSpec => ({
          ...{ kind: "coincidences", channels: [number(first), number(second)] },
          ...{ windowPs: options.window, delaysPs: delays(options.delay) },
          ...(options.spacing === undefined ? {} : { spacingPs: options.spacing }),
        });
        const { report, spec, result, verdict } = await measureOne(path, specOf, context);
        const record = {
          coincidences: result.coincidences,
          accidentals: result.accidentals.value,
          accidentalsUncertainty: result.accidentals.uncertainty,
          car: result.car,
          coincidenceRateHz: result.coincidenceRateHz,
          accidentalRateHz: result.accidentalRateHz,
          uncorrelated: result.uncorrelated,
          channels: result.channels,
          windowPs: result.windowPs,
          delaysPs: spec.delaysPs,
          spacingPs: result.spacingPs,
          displacedCounts: result.displacedCounts,
          liveTimePs: report.liveTimePs,
          spansLoss: report.spansLoss,
          lostTags: report.lostTags,
          warnings: accidentalsWarnings(result),
        };
        const { printer } = context;
        if (options.json) printer.json(record);
        else if (options.csv) {
          printer.line("coincidences,accidentals,accidentals_uncertainty,window_ps");
          const { coincidences, accidentals, accidentalsUncertainty, windowPs } = record;
          printer.line(`${coincidences},${accidentals},${accidentalsUncertainty},${windowPs}`);
        } else {
          printer.line(`coincidences  ${result.coincidences}`);
          printer.line(`accidentals   ${formatQuantity(result.accidentals, "", plainStyle)}`);
          printer.line(`S1*S2*w/T     ${result.uncorrelated.toPrecision(4)}`);
          printer.line(`CAR           ${formatQuantity(result.car, "", plainStyle)}`);
          printer.line(`window        ${formatPs(result.windowPs)}, full width`);
        }
        if (!options.json) printWarnings(printer, record.warnings);
        return verdict;
      }),
    );
}

function addRates(measure: Command, context: CommandContext): void {
  addMeasurement(measure, "rates", "tags and rate of each channel").action(
    (path: string, options: OutputOptions) =>
      context.run(async () => {
        const { report, result, verdict } = await measureOne(
          path,
          (): RatesSpec => ({ kind: "rates" }),
          context,
        );
        const { printer } = context;
        const seen = result.channels.filter(({ count }) => count > 0);
        if (options.json) {
          const channels = Object.fromEntries(
            seen.map(({ channel, count, rateHz }) => [channel, { count, rateHz }]),
          );
          const { liveTimePs, spansLoss, lostTags } = report;
          printer.json({ channels, liveTimePs, spansLoss, lostTags });
        } else if (options.csv) {
          printer.line("channel,count,rate_hz,rate_uncertainty_hz");
          for (const { channel, count, rateHz } of seen) {
            printer.line(`${channel},${count},${rateHz?.value ?? ""},${rateHz?.uncertainty ?? ""}`);
          }
        } else {
          printer.table(
            ["channel", "tags", "rate"],
            seen.map(({ channel, count, rateHz }) => [
              ...[String(channel), String(count), rateText(rateHz)],
            ]),
            [0, 1],
          );
        }
        return verdict;
      }),
  );
}
