/**
 * Recordings as tag streams. A stream is cold: subscribing reads the file in a worker thread, paced by
 * free slots as credits, so that nothing is ever dropped; unsubscribing stops the reading.
 */
import { basename } from "node:path";
import { Worker } from "node:worker_threads";
import { Observable } from "rxjs";
import { entryPointUrl } from "../entry-point.ts";
import { LabError, messageOf } from "../errors.ts";
import { ps } from "../units.ts";
import { BlockHub } from "./block-hub.ts";
import type { RecordingFormat, RecordingHead } from "./formats/recording-format.ts";
import { readRecordingHead } from "./formats/recording-head.ts";
import {
  type RecordingFacts,
  type RecordingJob,
  type RecordingMessage,
  recordingScratch,
} from "./recording-job.ts";
import type { TagMemory } from "./tag-memory.ts";
import type { TagBlock, TagStream } from "./tag-stream.ts";

/** How to read a recording. */
export interface RecordingOptions {
  readonly memory: TagMemory;
  /** From `compileTagKernels`. */
  readonly kernels: WebAssembly.Module;
  /** Said by who knows better than the file's content. */
  readonly format?: RecordingFormat;
  /** Slots the stream fills: its credits; 16 by default, at least 4. */
  readonly slots?: number;
  /** Tags a block holds at most; as many as fit by default. Measurements do not depend on it. */
  readonly tagsPerBlockMax?: number;
  /** How far tags may be out of order and still be put in place; 1 us by default. */
  readonly reorderWindowPs?: bigint;
}

/** An opened recording. Opening reads only its head. */
export interface Recording {
  readonly path: string;
  readonly format: RecordingFormat;
  readonly head: RecordingHead;
  /** Cold; every subscription reads the file anew. */
  readonly stream: TagStream;
  /** Reads the whole file once, for its facts alone; later calls give the same. @throws LabError `file.*`, `tags.memory`. */
  facts(): Promise<RecordingFacts>;
}

const toLabError = (message: RecordingMessage & { kind: "error" }): LabError =>
  new LabError(message.code, message.message, { details: message.details });

/** Runs a worker on a job, and calls back until it ended, one way or the other. */
function startReading(
  job: RecordingJob,
  onMessage: (message: RecordingMessage) => void,
  onExit: () => void,
): void {
  const worker = new Worker(entryPointUrl("#hal/tags/recording-worker"), { workerData: job });
  worker.on("message", onMessage);
  worker.on("error", (error) => {
    const message = `${job.path} could not be read: ${messageOf(error)}`;
    onMessage({ kind: "error", code: "file.unreadable", message, details: { path: job.path } });
  });
  worker.on("exit", onExit);
}

function describeJob(
  path: string,
  options: RecordingOptions,
  found: { readonly head: RecordingHead; readonly fileBytes: number },
): Omit<RecordingJob, "range" | "scratchAddress"> {
  const { memory, kernels, tagsPerBlockMax, reorderWindowPs = 1_000_000n } = options;
  const { head, fileBytes } = found;
  return {
    ...{ share: memory.share, kernels, path, fileBytes, reorderWindowPs, plan: head.plan },
    ...{ missingRecords: head.missingRecords, warnings: head.warnings },
    ...{ streamId: `file:${basename(path)}`, clockId: `file:${basename(path)}` },
    tagsPerBlockMax: tagsPerBlockMax ?? memory.layout.tagsPerBlock,
  };
}

/** Takes slots and scratch, both or neither. */
function allocateReading(memory: TagMemory, slots: number) {
  const scratch = memory.allocate(recordingScratch.bytes);
  try {
    return { scratch, range: memory.allocateSlots(slots) };
  } catch (error) {
    scratch[Symbol.dispose]();
    throw error;
  }
}

function readBlocks(
  job: Omit<RecordingJob, "range" | "scratchAddress">,
  memory: TagMemory,
  slots: number,
): Observable<TagBlock> {
  return new Observable((subscriber) => {
    const { range, scratch } = allocateReading(memory, slots);
    const control = new Int32Array(memory.memory.buffer, scratch.address, 1);
    const hub = new BlockHub(memory);
    const delivery = hub.blocks$.subscribe(subscriber);
    let isStopped = false;
    const { firstSlot } = range;
    startReading(
      { ...job, range: { firstSlot, slots }, scratchAddress: scratch.address },
      (message) => {
        if (message.kind === "block") {
          if (isStopped) hub.discard(message.block);
          else hub.deliver(message.block);
        } else if (message.kind === "end") hub.complete();
        else if (message.kind === "error") hub.fail(toLabError(message));
      },
      () => {
        scratch[Symbol.dispose]();
        range[Symbol.dispose]();
      },
    );
    return () => {
      isStopped = true;
      Atomics.store(control, 0, 1);
      delivery.unsubscribe();
    };
  });
}

function readFacts(
  job: Omit<RecordingJob, "range" | "scratchAddress">,
  memory: TagMemory,
): Promise<RecordingFacts> {
  const scratch = memory.allocate(recordingScratch.bytes);
  return new Promise((resolve, reject) => {
    startReading(
      { ...job, range: null, scratchAddress: scratch.address },
      (message) => {
        if (message.kind === "end") resolve(message.facts);
        else if (message.kind === "error") reject(toLabError(message));
      },
      () => scratch[Symbol.dispose](),
    );
  });
}

/**
 * Opens a recording, whatever its format; formats are told by content.
 * @throws LabError `file.missing`, `file.not-a-file`, `file.empty`, `file.unreadable`, `file.not-a-recording`,
 * `file.unsupported-format`, `file.unsupported-records`, `file.damaged`.
 */
export async function openRecording(path: string, options: RecordingOptions): Promise<Recording> {
  const { memory, slots = 16 } = options;
  const found = await readRecordingHead(path, options.format);
  const { head } = found;
  const job = describeJob(path, options, found);
  const epochPs = ps(head.startUtcPs ?? 0n);
  let facts: Promise<RecordingFacts> | null = null;
  return {
    ...{ path, format: head.format, head },
    stream: {
      ...{ streamId: job.streamId, clockId: job.clockId },
      ...{ channels: head.channels, tickPs: head.tickPs, epochPs },
      anchor: { utcPs: epochPs, uncertaintyPs: ps(head.startUncertaintyPs) },
      blocks$: readBlocks(job, memory, slots),
    },
    facts: () => {
      facts ??= readFacts(job, memory);
      return facts;
    },
  };
}
