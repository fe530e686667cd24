import { type Command, Option } from "commander";
import { lastValueFrom, tap } from "rxjs";
import type { AnalysisReport, HistogramResult, RatesResult } from "../../hal/tags/measurements.ts";
import type { Recording } from "../../hal/tags/recording-source.ts";
import { formatPs, type Ps, ps } from "../../hal/units.ts";
import {
  type ChannelName,
  type CommandContext,
  channelArgument,
  channelNumber,
  positiveNumberArgument,
  positiveTimeArgument,
} from "../command.ts";
import type { ExitCode } from "../exit-codes.ts";
import { paceBlocks } from "../paced-blocks.ts";
import { printable } from "../print.ts";
import {
  assertFeasible,
  interrupted,
  judgeRecording,
  observeReports,
  openRecordingSession,
  type RecordingSession,
  replaySlots,
} from "../recording-session.ts";
import { drawHistogram, marginColumns } from "../terminal-histogram.ts";
import { printLosses, rateText } from "../wording.ts";

interface ReplayOptions {
  readonly speed?: number;
  readonly start?: ChannelName;
  readonly stop?: ChannelName;
  readonly bin?: Ps;
  readonly range: Ps;
  readonly json?: true;
}

/** Adds `replay FILE`: a recording through the same streams as live tags. */
export function addReplayCommand(program: Command, context: CommandContext): void {
  program
    .command("replay")
    .description("stream a recording as if it were live; print rates, losses and a correlation")
    .argument("<file>", "a recording, of any format that is known")
    .option(
      "--speed <factor>",
      "1 for real time, 2 for twice that; as fast as possible by default",
      positiveNumberArgument,
    )
    .option("--start <channel>", "channel of the starts; the first that occurs", channelArgument)
    .option("--stop <channel>", "channel of the stops; the second that occurs", channelArgument)
    .option("--bin <time>", "width of a bin; as fine as the terminal shows", positiveTimeArgument)
    .addOption(
      new Option("--range <time>", "largest difference drawn")
        .argParser(positiveTimeArgument)
        .default(ps(50_000n), "50ns"),
    )
    .option("--json", "one JSON object a line; the last is the summary")
    .action((path: string, options: ReplayOptions) =>
      context.run(async () => {
        return await replay(await openRecordingSession(path), options, context);
      }),
    );
}

async function replay(
  session: RecordingSession,
  options: ReplayOptions,
  context: CommandContext,
): Promise<ExitCode | undefined> {
  const { recording } = session;
  const { printer, signal } = context;
  const pair = await channelsToCorrelate(recording, options);
  if (pair !== null) await assertFeasible(session, { ...pair, spanPs: 2n * options.range });
  const histogram =
    pair === null
      ? []
      : [
          {
            kind: "histogram" as const,
            ...pair,
            binPs: binOf(options, printer),
            rangePs: options.range,
          },
        ];
  const stream = pacedStream(recording, options, context);
  const reports$ = observeReports(session, stream, [{ kind: "rates" }, ...histogram], signal).pipe(
    tap((report) => {
      if (report.isFinal) return;
      if (options.json) printer.json(ratesEvent(report));
      else printer.progress(progressLine(report));
    }),
  );
  const last = await lastValueFrom(reports$, { defaultValue: null });
  if (!last?.isFinal) throw interrupted();
  if (options.json) printer.json(summaryEvent(recording, last));
  else printSummary(context, recording, last);
  return judgeRecording(recording, last, printer);
}

/** Without a wish, one bin a column of the terminal. */
function binOf({ bin, range }: ReplayOptions, { columns }: CommandContext["printer"]): Ps {
  const bins = BigInt(columns - marginColumns);
  return bin ?? ps((2n * range + bins - 1n) / bins);
}

const pacedStream = (
  { stream }: Recording,
  { speed }: ReplayOptions,
  { clock }: CommandContext,
): Recording["stream"] =>
  speed === undefined
    ? stream
    : {
        ...stream,
        blocks$: paceBlocks(stream.blocks$, { clock, speed, blocksMax: 2 * replaySlots }),
      };

/** Which channels occur is known only after reading the file once, which is quick beside the replay. */
async function channelsToCorrelate(
  recording: Recording,
  { start, stop }: ReplayOptions,
): Promise<{ readonly start: number; readonly stop: number } | null> {
  const number = (name: ChannelName): number => channelNumber(name, recording.stream.channels);
  if (start !== undefined && stop !== undefined)
    return { start: number(start), stop: number(stop) };
  const { channels } = await recording.facts();
  const [first, second] = Object.keys(channels).map(Number);
  const pair = { start: start ?? first, stop: stop ?? second };
  return pair.start === undefined || pair.stop === undefined
    ? null
    : { start: number(pair.start), stop: number(pair.stop) };
}

const ratesIn = ({ results }: AnalysisReport): RatesResult["channels"] =>
  results.flatMap((result) => (result.kind === "rates" ? result.channels : []));

const histogramIn = ({ results }: AnalysisReport): HistogramResult | null =>
  results.find((result) => result.kind === "histogram") ?? null;

const ratesEvent = (report: AnalysisReport): Readonly<Record<string, unknown>> => ({
  event: "rates",
  toPs: report.toPs,
  tags: report.tags,
  counts: report.interval.counts,
  liveTimePs: report.interval.liveTimePs,
  spansLoss: report.interval.spansLoss,
});

function summaryEvent(
  recording: Recording,
  report: AnalysisReport,
): Readonly<Record<string, unknown>> {
  const histogram = histogramIn(report);
  return {
    event: "summary",
    format: recording.format,
    tags: report.tags,
    liveTimePs: report.liveTimePs,
    channels: Object.fromEntries(
      ratesIn(report)
        .filter(({ count }) => count > 0)
        .map(({ channel, count, rateHz }) => [channel, { count, rateHz }]),
    ),
    lostTags: report.lostTags,
    losses: report.losses,
    correlation:
      histogram === null
        ? null
        : {
            start: histogram.start,
            stop: histogram.stop,
            binPs: histogram.binPs,
            fromPs: histogram.fromPs,
            counts: [...histogram.counts],
          },
  };
}

function progressLine(report: AnalysisReport): string {
  const seconds = Number(report.interval.liveTimePs) / 1e12;
  const rates = Object.entries(report.interval.counts)
    .map(([channel, count]) => {
      const value = seconds > 0 ? count / seconds : Number.NaN;
      return `${channel}: ${rateText({ value, uncertainty: Math.sqrt(count) / seconds })}`;
    })
    .join("  ");
  return `${formatPs(report.toPs - (report.toPs % 1_000_000_000n))}  ${rates}`;
}

function printSummary(
  { printer }: CommandContext,
  recording: Recording,
  report: AnalysisReport,
): void {
  printer.line(printer.strong(printable(recording.path)));
  printer.line(
    `${recording.format}, ${report.tags} tags, ${formatPs(report.liveTimePs)} of live time`,
  );
  const labels = new Map(
    recording.head.channels.map(({ channel, label }) => [channel, printable(label)]),
  );
  const rows = ratesIn(report)
    .filter(({ count }) => count > 0)
    .map(({ channel, count, rateHz }) => [
      ...[String(channel), labels.get(channel) ?? "", String(count), rateText(rateHz)],
    ]);
  printer.table(["channel", "label", "tags", "rate"], rows, [0, 2]);
  printLosses(printer, report);
  const histogram = histogramIn(report);
  printer.line();
  if (histogram === null) {
    printer.line("one channel alone: no correlation to draw");
    return;
  }
  const { start, stop, fromPs, binPs, pairs, counts } = histogram;
  printer.line(
    `channel ${stop} minus channel ${start}: ${pairs} pairs, bins of ${formatPs(binPs)}`,
  );
  const drawn = { fromPs: Number(fromPs), binPs: Number(binPs), counts: [...counts] };
  for (const line of drawHistogram(drawn, { columns: printer.columns })) printer.line(line);
}
