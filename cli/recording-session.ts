/** Opens a recording for a command, and measures on all of it. */
import { lastValueFrom, Observable, takeUntil } from "rxjs";
import { LabError, messageOf } from "../hal/errors.ts";
import { analyse } from "../hal/tags/analysis.ts";
import type { LossInterval } from "../hal/tags/loss-interval.ts";
import type { AnalysisReport, MeasurementSpec } from "../hal/tags/measurements.ts";
import { openRecording, type Recording } from "../hal/tags/recording-source.ts";
import { compileTagKernels } from "../hal/tags/tag-kernels.ts";
import { TagMemory } from "../hal/tags/tag-memory.ts";
import type { TagStream } from "../hal/tags/tag-stream.ts";
import { formatPs } from "../hal/units.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { type Printer, printable } from "./print.ts";

/** A recording with the memory its tags go through. */
export interface RecordingSession {
  readonly recording: Recording;
  readonly memory: TagMemory;
  readonly kernels: WebAssembly.Module;
}

/** Blocks of a recording that may be in memory at a time. */
export const replaySlots = 16;
const scratchBytes = 2 ** 28;

/** Opens a recording of any format that is known. @throws LabError `file.*`, `tags.memory`. */
export async function openRecordingSession(path: string): Promise<RecordingSession> {
  const memory = TagMemory.create({ slots: 2 * replaySlots, scratchBytes });
  const kernels = compileTagKernels();
  const recording = await openRecording(path, { memory, kernels, slots: replaySlots });
  return { recording, memory, kernels };
}

/** Measures on a stream of the session, reporting as it goes. @throws LabError `command.measurement`. */
export function observeReports(
  session: RecordingSession,
  stream: TagStream,
  specs: readonly MeasurementSpec[],
  signal: AbortSignal,
): Observable<AnalysisReport> {
  try {
    const { memory, kernels } = session;
    const options = { memory, kernels, blocksHeldMax: 2 * replaySlots };
    return analyse(stream, specs, options).pipe(takeUntil(aborted(signal)));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw unmeasurable(cause);
  }
}

/** Gives the final report on the whole recording. @throws LabError `file.*`, `tags.*`, `command.*`. */
export async function measureRecording(
  session: RecordingSession,
  specs: readonly MeasurementSpec[],
  signal: AbortSignal,
): Promise<AnalysisReport> {
  const reports$ = observeReports(session, session.recording.stream, specs, signal);
  const report = await lastValueFrom(reports$, { defaultValue: null });
  if (report?.isFinal) return report;
  throw interrupted();
}

/** A range up to this is quick whatever the rates. */
const spanPsQuick = 1_000_000_000n;
/** About a minute of counting. */
const pairsMax = 3e10;

/**
 * Refuses ranges of time differences so wide that comparing all pairs would take hours. `spanPs` is
 * from the least to the largest difference. @throws LabError `command.measurement`, `file.*`.
 */
export async function assertFeasible(
  { recording }: RecordingSession,
  pair: { readonly start: number; readonly stop: number; readonly spanPs: bigint },
): Promise<void> {
  const { start, stop, spanPs } = pair;
  if (spanPs <= spanPsQuick) return;
  const { channels, firstPs, lastPs } = await recording.facts();
  const durationPs = Number((lastPs ?? 0n) - (firstPs ?? 0n)) + 1;
  const share = Math.min(1, Number(spanPs) / durationPs);
  const pairs = (channels[start] ?? 0) * (channels[stop] ?? 0) * share;
  if (pairs <= pairsMax) return;
  throw new LabError(
    "command.measurement",
    `differences over ${formatPs(spanPs)} are about ${pairs.toExponential(0)} pairs of tags, too many to compare: choose a narrower range or window`,
  );
}

const unmeasurable = (cause: RangeError): LabError =>
  new LabError("command.measurement", `this cannot be measured: ${messageOf(cause)}`, { cause });

/** The failure of a command that was stopped before it had a result. */
export const interrupted = (): LabError =>
  new LabError("command.interrupted", "stopped before the end of the recording");

/** Emits once when the signal is aborted. */
const aborted = (signal: AbortSignal): Observable<void> =>
  new Observable((subscriber) => {
    const emit = (): void => subscriber.next();
    if (signal.aborted) emit();
    signal.addEventListener("abort", emit, { once: true });
    return () => signal.removeEventListener("abort", emit);
  });

/**
 * Says on standard error, a sentence each, what is wrong with a recording that could be read all the same, and gives the
 * exit code for it: figures of a part must not pass for figures of the whole.
 */
export function judgeRecording(
  { path, head }: Recording,
  read: { readonly losses: readonly LossInterval[]; readonly warnings?: readonly string[] },
  printer: Printer,
): ExitCode | undefined {
  const problems = [...(read.warnings ?? head.warnings)];
  if (problems.length === 0 && read.losses.some(({ cause }) => cause === "damaged-file")) {
    problems.push("a part of it is damaged");
  }
  for (const problem of problems) {
    const sentence = `bellwether: ${path}: ${problem}; what is there was used, check the original`;
    printer.note(printable(sentence));
  }
  return problems.length === 0 ? undefined : exitCodes.problemsFound;
}
