import { type Command, Option } from "commander";
import type {
  AnalysisReport,
  ChannelDelays,
  CoincidencesSpec,
  DelayResult,
  DelaySpec,
  HistogramSpec,
  MeasurementResult,
  MeasurementSpec,
  RatesSpec,
} from "../../hal/tags/measurements.ts";
import { formatPs, type Ps, ps } from "../../hal/units.ts";
import { formatQuantity, plainStyle } from "../../web/quantity.ts";
import {
  type ChannelName,
  type CommandContext,
  channelArgument,
  channelNumber,
  channelsArgument,
  delayArgument,
  type NamedDelays,
  positiveTimeArgument,
} from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import type { Printer } from "../print.ts";
import {
  measureRecording,
  openRecordingSession,
  type RecordingSession,
} from "../recording-session.ts";
import { drawHistogram } from "../terminal-histogram.ts";
import { lossSentence, rateText } from "../wording.ts";

interface OutputOptions {
  readonly json?: true;
  readonly csv?: true;
}

/** A chance of being fooled above this is no finding. */
const falseAlarmMax = 1e-6;

/** Adds `measure correlation|coincidences|delay|rates FILE`. */
export function addMeasureCommand(program: Command, context: CommandContext): void {
  const measure = program.command("measure").description("measure on a recording");
  addCorrelation(measure, context);
  addCoincidences(measure, context);
  addDelay(measure, context);
  addRates(measure, context);
}

const addMeasurement = (measure: Command, name: string, description: string): Command =>
  measure
    .command(name)
    .description(description)
    .argument("<file>", "a recording, of any format that is known")
    .addOption(new Option("--json", "one JSON object on standard output").conflicts("csv"))
    .addOption(new Option("--csv", "comma-separated values on standard output"));

const delayOption = (): Option =>
  new Option("--delay <channel=time>", "added to the channel's times; may be repeated")
    .argParser(delayArgument)
    .default(new Map<ChannelName, Ps>(), "none");

const timeOption = (flags: string, description: string, byDefault: Ps): Option =>
  new Option(flags, description)
    .argParser(positiveTimeArgument)
    .default(byDefault, formatPs(byDefault).replace(" ", ""));

/** The recording as arguments mean it: channels by number or by name. */
interface Wiring {
  number(name: ChannelName): number;
  delays(delays: NamedDelays): ChannelDelays;
}

function wiringOf({ recording }: RecordingSession): Wiring {
  const number = (name: ChannelName): number => channelNumber(name, recording.stream.channels);
  return {
    number,
    delays: (delays) =>
      Object.fromEntries([...delays].map(([name, delayPs]) => [number(name), delayPs])),
  };
}

/** Measures one thing on a whole recording; a lost tag is worth a line on standard error. */
async function measureOne<Kind extends MeasurementSpec["kind"]>(
  path: string,
  specOf: (wiring: Wiring) => MeasurementSpec & { readonly kind: Kind },
  { printer, signal }: CommandContext,
): Promise<{
  readonly report: AnalysisReport;
  readonly spec: MeasurementSpec & { readonly kind: Kind };
  readonly result: MeasurementResult & { readonly kind: Kind };
}> {
  const session = await openRecordingSession(path);
  const spec = specOf(wiringOf(session));
  const report = await measureRecording(session, [spec], signal);
  const isWanted = (
    result: MeasurementResult,
  ): result is MeasurementResult & { readonly kind: Kind } => result.kind === spec.kind;
  const result = report.results.find(isWanted);
  if (result === undefined) throw new TypeError(`the analysis gave no ${spec.kind}`);
  if (report.spansLoss) {
    printer.note(`${path}: ${lossSentence(report.lostTags, report.losses.length)}`);
  }
  return { report, spec, result };
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
        const { result } = await measureOne(path, specOf, context);
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
        return undefined;
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
        const { report, spec, result } = await measureOne(path, specOf, context);
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
          printer.line(`CAR           ${formatQuantity(result.car, "", plainStyle)}`);
          printer.line(`window        ${formatPs(result.windowPs)}, full width`);
        }
        return undefined;
      }),
    );
}

interface DelayOptions extends OutputOptions {
  readonly start: ChannelName;
  readonly stop: ChannelName;
  readonly range: Ps;
}

function addDelay(measure: Command, context: CommandContext): void {
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
        const { result } = await measureOne(path, specOf, context);
        const record = delayRecord(result);
        printDelay(context.printer, record, options);
        return record.delayPs === null ? exitCodes.problemsFound : undefined;
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
}

function delayRecord({ found }: DelayResult): DelayRecord {
  if (found === null) return nothingFound;
  const { delayPs, windowPs, pairs, background, significance, falseAlarmProbability } = found;
  const chance = { background, significance, falseAlarmProbability };
  if (falseAlarmProbability > falseAlarmMax) return { ...nothingFound, ...chance };
  const { value, uncertainty } = delayPs;
  return { delayPs: Math.round(value), uncertaintyPs: uncertainty, windowPs, pairs, ...chance };
}

const nothingFound: DelayRecord = {
  ...{ delayPs: null, uncertaintyPs: null, windowPs: null, pairs: 0, background: 0 },
  ...{ significance: null, falseAlarmProbability: null },
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
    printer.line(`use it as            --delay ${stop}=${delayPs}ps`);
  }
}

function addRates(measure: Command, context: CommandContext): void {
  addMeasurement(measure, "rates", "tags and rate of each channel").action(
    (path: string, options: OutputOptions) =>
      context.run(async () => {
        const { report, result } = await measureOne(
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
        return undefined;
      }),
  );
}
