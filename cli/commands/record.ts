import { existsSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { driverManifests } from "../../drivers/registry.ts";
import { sleep } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import { readStation } from "../../hal/station/station-file.ts";
import type { Station } from "../../hal/station/station-schema.ts";
import { type Recorder, type RecorderProgress, recordStream } from "../../hal/tags/recorder.ts";
import { type Ps, psPerMs } from "../../hal/units.ts";
import { formatQuantity } from "../../web/quantity.ts";
import { type AddCommand, type CommandContext, positiveTimeArgument } from "../command.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { OpenStationSession, StationSession } from "../station-session.ts";
import { stationContext } from "./station.ts";

interface RecordOptions {
  readonly node?: string;
  readonly device?: string;
  readonly duration?: Ps;
  readonly note?: string;
  readonly json?: true;
}

const progressEveryMs = 1_000;

/** Gives the command `record STATION OUT.bwt`, which takes tags from one tagger of a station. */
export const recordCommand =
  (open: OpenStationSession): AddCommand =>
  (program, context) => {
    program
      .command("record")
      .description("record one time tagger of a station until the duration is over, or Ctrl-C")
      .argument("<station>", "a station file")
      .argument("<out>", "the recording to write, .bwt; an existing file is never overwritten")
      .option("--node <name>", "node of the tagger; may be left out when there is one")
      .option("--device <name>", "the tagger; may be left out when the node has one")
      .option("--duration <time>", "how long, such as 60s", positiveTimeArgument)
      .option("--note <text>", "kept in the recording")
      .option("--json", "one JSON object a line; the last is the summary")
      .action((path: string, out: string, options: RecordOptions) =>
        context.run(async () => {
          const station = await readStation(path, stationContext());
          assertNew(out);
          const chosen = chooseTagger(station, options);
          const { clock, random, logger } = context;
          const session = await open(station, { ...chosen, clock, random, logger });
          try {
            return await record(session, out, options, context);
          } finally {
            await session.close();
          }
        }),
      );
  };

/** The recorder refuses this too, but only after lasers and ports were opened. */
function assertNew(out: string): void {
  if (!existsSync(out)) return;
  const sentence = `${out} exists already: recordings are never overwritten, choose another name`;
  throw new LabError("file.exists", sentence);
}

/** Finds the tagger that is meant. @throws LabError `command.choose`. */
function chooseTagger(
  station: Station,
  { node, device }: RecordOptions,
): { readonly node: string; readonly device: string } {
  const candidates = [...station.nodes.values()]
    .filter(({ name }) => node === undefined || name === node)
    .flatMap((each) =>
      [...each.devices.values()]
        .filter(({ driver }) => driverManifests.get(driver)?.roles.includes("time-tagger"))
        .filter(({ name }) => device === undefined || name === device)
        .map(({ name }) => ({ node: each.name, device: name })),
    );
  const [first, ...others] = candidates;
  if (first === undefined) {
    throw new LabError("command.choose", `${station.path} has no such time tagger; see "devices"`);
  }
  if (others.length > 0) {
    const names = candidates.map((each) => `--node ${each.node} --device ${each.device}`);
    throw new LabError("command.choose", `say which time tagger: ${names.join(", or ")}`);
  }
  return first;
}

async function record(
  session: StationSession,
  out: string,
  options: RecordOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { clock, printer, signal } = context;
  const stream = await session.tagger.startTagging();
  const startedMs = clock.monotonicMs();
  const recorder = await recordStream(stream, out, {
    clock,
    notes: options.note ?? "",
    snapshot: session.takeSnapshot(),
  });
  const endMs =
    options.duration === undefined
      ? Number.POSITIVE_INFINITY
      : startedMs + Number(options.duration / psPerMs);
  const watch = watchProgress(recorder, { out, startedMs, options, context });
  try {
    await waitForEnd(recorder, endMs, context);
    await session.tagger.stopTagging();
    recorder.stop();
    const final = await recorder.done;
    const seconds = (clock.monotonicMs() - startedMs) / 1e3;
    if (options.json) printer.json({ event: "summary", out, seconds, ...final });
    else printer.line(`wrote ${sentenceOf(final)} to ${out}`);
  } finally {
    watch[Symbol.dispose]();
    printer.endProgress();
  }
  // Without a duration, Ctrl-C is how a recording is meant to end.
  return signal.aborted && options.duration !== undefined ? exitCodes.interrupted : exitCodes.ok;
}

/** Resolves when the time is over, at Ctrl-C, or when the recording ended by itself. */
async function waitForEnd(
  recorder: Recorder,
  endMs: number,
  { clock, signal }: CommandContext,
): Promise<void> {
  const ended = new AbortController();
  const stop = (): void => ended.abort();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  const isOver = recorder.done.then(stop, stop);
  try {
    // Timers of the runtime hold at most 24 days: long waits are taken in hours.
    while (clock.monotonicMs() < endMs && !ended.signal.aborted) {
      const leftMs = endMs - clock.monotonicMs();
      await sleep(clock, Math.min(leftMs, 3_600_000), ended.signal).catch(() => undefined);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (ended.signal.aborted && !signal.aborted) await isOver;
}

interface Watched {
  readonly out: string;
  readonly startedMs: number;
  readonly options: RecordOptions;
  readonly context: CommandContext;
}

/** Says once a second how far the recording is, and for how long the disk lasts at this rate. */
function watchProgress(recorder: Recorder, watched: Watched): Disposable {
  const { out, startedMs, options, context } = watched;
  const { clock, printer } = context;
  let progress: RecorderProgress = { tags: 0, bytesWritten: 0, tagsLeftOut: 0 };
  const subscription = recorder.progress$.subscribe((next) => {
    progress = next;
  });
  let timer: Disposable;
  const tick = (): void => {
    const seconds = (clock.monotonicMs() - startedMs) / 1e3;
    const diskSecondsLeft = diskTimeLeftS(out, progress.bytesWritten / seconds);
    if (options.json) printer.json({ event: "progress", seconds, ...progress, diskSecondsLeft });
    else {
      const disk = diskSecondsLeft === null ? "" : `, disk full in ${hoursText(diskSecondsLeft)}`;
      printer.progress(`${seconds.toFixed(0)} s  ${sentenceOf(progress)}${disk}`);
    }
    timer = clock.after(progressEveryMs, tick);
  };
  timer = clock.after(progressEveryMs, tick);
  return {
    [Symbol.dispose]: () => {
      timer[Symbol.dispose]();
      subscription.unsubscribe();
    },
  };
}

function diskTimeLeftS(out: string, bytesPerS: number): number | null {
  const { bavail, bsize } = statfsSync(dirname(resolve(out)));
  return bytesPerS > 0 ? Math.floor((bavail * bsize) / bytesPerS) : null;
}

const hoursText = (seconds: number): string =>
  seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;

function sentenceOf({ tags, bytesWritten, tagsLeftOut }: RecorderProgress): string {
  const leftOut = tagsLeftOut === 0 ? "" : `, ${tagsLeftOut} left out: the disk is too slow`;
  return `${tags} tags, ${formatQuantity(bytesWritten, "B")}${leftOut}`;
}
