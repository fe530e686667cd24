/** What all `measure` commands share: options, how channels are meant, and one measurement on a whole recording. */
import { type Command, Option } from "commander";
import type {
  AnalysisReport,
  ChannelDelays,
  MeasurementResult,
  MeasurementSpec,
} from "../hal/tags/measurements.ts";
import { formatPs, type Ps } from "../hal/units.ts";
import {
  type ChannelName,
  type CommandContext,
  channelNumber,
  delayArgument,
  type NamedDelays,
  positiveTimeArgument,
} from "./command.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { Printer } from "./print.ts";
import {
  assertFeasible,
  judgeRecording,
  measureRecording,
  openRecordingSession,
  type RecordingSession,
} from "./recording-session.ts";
import { lossSentence } from "./wording.ts";

/** How a result is written; as text without a wish. */
export interface OutputOptions {
  readonly json?: true;
  readonly csv?: true;
}

/** Adds a measurement on one recording. */
export const addMeasurement = (measure: Command, name: string, description: string): Command =>
  measure
    .command(name)
    .description(description)
    .argument("<file>", "a recording, of any format that is known")
    .addOption(new Option("--json", "one JSON object on standard output").conflicts("csv"))
    .addOption(new Option("--csv", "comma-separated values on standard output"));

/** The option `--delay`. */
export const delayOption = (): Option =>
  new Option("--delay <channel=time>", "added to the channel's times; may be repeated")
    .argParser(delayArgument)
    .default(new Map<ChannelName, Ps>(), "none");

/** An option that takes a time above zero. */
export const timeOption = (flags: string, description: string, byDefault: Ps): Option =>
  new Option(flags, description)
    .argParser(positiveTimeArgument)
    .default(byDefault, formatPs(byDefault).replace(" ", ""));

/** The recording as arguments mean it: channels by number or by name. */
export interface Wiring {
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
export async function measureOne<Kind extends MeasurementSpec["kind"]>(
  path: string,
  specOf: (wiring: Wiring) => MeasurementSpec & { readonly kind: Kind },
  { printer, signal }: CommandContext,
): Promise<{
  readonly report: AnalysisReport;
  readonly spec: MeasurementSpec & { readonly kind: Kind };
  readonly result: MeasurementResult & { readonly kind: Kind };
  /** Of a recording that could be read in part, or has a wrong header. */
  readonly verdict: ExitCode | undefined;
}> {
  const session = await openRecordingSession(path);
  const spec = specOf(wiringOf(session));
  const pair = pairOf(spec);
  if (pair !== null) await assertFeasible(session, pair);
  const report = await measureRecording(session, [spec], signal);
  const isWanted = (
    result: MeasurementResult,
  ): result is MeasurementResult & { readonly kind: Kind } => result.kind === spec.kind;
  const result = report.results.find(isWanted);
  if (result === undefined) throw new TypeError(`the analysis gave no ${spec.kind}`);
  if (report.spansLoss) {
    printer.note(`${path}: ${lossSentence(report.lostTags, report.losses.length)}`);
  }
  return { report, spec, result, verdict: judgeRecording(session.recording, report, printer) };
}

/** Which pairs a measurement compares; null when it compares none. */
function pairOf(spec: MeasurementSpec): Parameters<typeof assertFeasible>[1] | null {
  if (spec.kind === "rates") return null;
  if (spec.kind !== "coincidences") return { ...spec, spanPs: 2n * spec.rangePs };
  const [start, stop] = spec.channels;
  // Windows are displaced ten times to each side, by ten windows unless told otherwise.
  return { start, stop, spanPs: 20n * (spec.spacingPs ?? 10n * spec.windowPs) + spec.windowPs };
}

/** Warnings stand beside the result, never in it: a script that reads CSV sees figures alone. */
export function printWarnings(printer: Printer, warnings: readonly string[]): void {
  for (const warning of warnings) printer.note(`warning: ${warning}`);
}
