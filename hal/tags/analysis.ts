/**
 * Measurements on a tag stream, made in a worker thread. Blocks are retained while they wait there, under a
 * quota: an analysis that cannot keep up loses blocks, says so in its reports, and costs nobody else any.
 */
import { Worker } from "node:worker_threads";
import { Observable, type Subscriber } from "rxjs";
import { entryPointUrl } from "../entry-point.ts";
import { LabError, messageOf } from "../errors.ts";
import type { AnalysisJob, AnalysisMessage, AnalysisRequest } from "./analysis-messages.ts";
import { analysisBytes } from "./block-analysis.ts";
import { createRetainQuota } from "./block-hub.ts";
import type { AnalysisReport, MeasurementSpec } from "./measurements.ts";
import type { ScratchRegion, TagMemory } from "./tag-memory.ts";
import type { RetainedBlock, TagBlock, TagStream } from "./tag-stream.ts";

/** How an analysis runs. */
export interface AnalysisOptions {
  readonly memory: TagMemory;
  /** From `compileTagKernels`. */
  readonly kernels: WebAssembly.Module;
  /** Reports come this often while blocks come; 250 ms by default, `Infinity` for the final one alone. */
  readonly reportEveryMs?: number;
  /**
   * Blocks that may wait for the analysis; 32 by default. At least a recording's `slots`, so that its
   * pacing, not this quota, makes the reader wait.
   */
  readonly blocksHeldMax?: number;
  /** Tags of one channel kept for measurements that look back or ahead; 2^18 by default. */
  readonly historyTagsMax?: number;
  /** The name under which refused blocks are booked. */
  readonly holder?: string;
}

/** One subscription's worker and the blocks that it has not yet taken. */
class AnalysisRun {
  readonly #subscriber: Subscriber<AnalysisReport>;
  readonly #worker: Worker;
  readonly #region: ScratchRegion;
  readonly #quota: ReturnType<typeof createRetainQuota>;
  readonly #waiting: RetainedBlock[] = [];

  constructor(
    subscriber: Subscriber<AnalysisReport>,
    job: AnalysisJob,
    region: ScratchRegion,
    quota: ReturnType<typeof createRetainQuota>,
  ) {
    this.#subscriber = subscriber;
    this.#region = region;
    this.#quota = quota;
    this.#worker = new Worker(entryPointUrl("#hal/tags/analysis-worker"), { workerData: job });
    this.#worker.on("message", (message: AnalysisMessage) => this.#onMessage(message));
    this.#worker.on("error", (error) => {
      subscriber.error(
        new LabError("tags.analysis", `the analysis failed: ${messageOf(error)}`, { cause: error }),
      );
    });
    this.#worker.on("exit", () => this.#release());
  }

  take(block: TagBlock): void {
    const retained = block.retain(this.#quota);
    if (retained === null) {
      const { fromPs, toPs, count } = block;
      this.#post({ kind: "missed", loss: { fromPs, toPs, count, cause: "subscriber-quota" } });
      return;
    }
    this.#waiting.push(retained);
    const { streamId, clockId, segment, sequence, fromPs, toPs, count, losses, slot, generation } =
      block;
    const descriptor = { streamId, clockId, segment, sequence, fromPs, toPs, count, losses };
    this.#post({ kind: "block", block: { ...descriptor, slot, generation } });
  }

  finish(): void {
    this.#post({ kind: "finish" });
  }

  /** Ends the thread; blocks and scratch are given back once it can touch them no more. */
  stop(): void {
    this.#worker.terminate().catch((error: unknown) => {
      this.#subscriber.error(error);
    });
  }

  #post(request: AnalysisRequest): void {
    this.#worker.postMessage(request);
  }

  #onMessage(message: AnalysisMessage): void {
    if (message.kind === "taken") {
      this.#waiting.shift()?.[Symbol.dispose]();
    } else if (message.kind === "report") {
      this.#subscriber.next(message.report);
      if (message.report.isFinal) this.#subscriber.complete();
    } else {
      const { code, message: sentence, details } = message;
      this.#subscriber.error(new LabError(code, sentence, { details }));
    }
  }

  #release(): void {
    for (const retained of this.#waiting.splice(0)) retained[Symbol.dispose]();
    this.#region[Symbol.dispose]();
  }
}

/**
 * Measures `specs` on the stream and reports as it goes; the last report, when the stream completes, is
 * final. Every subscription is an analysis of its own. Errors with what the stream errors with, and
 * with LabError `tags.memory` or `tags.analysis`.
 * @throws RangeError for a spec that makes no sense.
 */
export function analyse(
  stream: TagStream,
  specs: readonly MeasurementSpec[],
  options: AnalysisOptions,
): Observable<AnalysisReport> {
  const { memory, kernels, reportEveryMs = 250, blocksHeldMax = 32 } = options;
  const { historyTagsMax = 2 ** 18, holder = "analysis" } = options;
  const bytes = analysisBytes(specs, memory.layout.tagsPerBlock, historyTagsMax);
  const channelLimit = 1 + Math.max(0, ...stream.channels.map(({ channel }) => channel));
  return new Observable((subscriber) => {
    const region = memory.allocate(bytes);
    const { address } = region;
    const job: AnalysisJob = {
      ...{ share: memory.share, kernels, specs, address, historyTagsMax, channelLimit },
      reportEveryMs,
    };
    const run = new AnalysisRun(subscriber, job, region, createRetainQuota(holder, blocksHeldMax));
    const blocks = stream.blocks$.subscribe({
      next: (block) => run.take(block),
      error: (error) => subscriber.error(error),
      complete: () => run.finish(),
    });
    return () => {
      blocks.unsubscribe();
      run.stop();
    };
  });
}
