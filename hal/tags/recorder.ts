/**
 * Writes a stream to disk as a native recording while others use it. Each block is encoded when it comes and
 * waits, encoded, for the disk; when more waits than `pendingBytesMax`, blocks are left out and the
 * recording says so itself. Every second at the latest what was written is forced to the disk.
 */
import { type FileHandle, open } from "node:fs/promises";
import { BehaviorSubject, type Observable, type Subscription } from "rxjs";
import type { Clock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { createRetainQuota } from "./block-hub.ts";
import {
  encodeSettingsBlock,
  encodeTagsBlock,
  nativeLossesMax,
} from "./formats/native-recording.ts";
import { fileError } from "./formats/recording-format.ts";
import { joinLosses, type LossInterval } from "./loss-interval.ts";
import type { RetainQuota, TagBlock, TagStream } from "./tag-stream.ts";

/** How a recording is made. */
export interface RecorderOptions {
  readonly clock: Clock;
  readonly notes?: string;
  /** Settings of the whole station, each with its time and origin; kept as JSON, bigints as strings. */
  readonly snapshot?: unknown;
  /** Encoded bytes that may wait for the disk; 256 MiB by default. */
  readonly pendingBytesMax?: number;
  /**
   * Instead of encoding each block at once, hold up to this many until they are written: so a stream that
   * is paced by its slots waits for the disk, and nothing is left out. For copies of recordings.
   */
  readonly blocksHeldMax?: number;
}

/** How far a recording is. */
export interface RecorderProgress {
  readonly tags: number;
  readonly bytesWritten: number;
  /** Tags left out because the disk was too slow. */
  readonly tagsLeftOut: number;
}

/** A recording being made. */
export interface Recorder {
  readonly progress$: Observable<RecorderProgress>;
  /** Resolves when all is on the disk, after `stop` or the stream's end. @throws LabError `file.unwritable`, or the stream's error. */
  readonly done: Promise<RecorderProgress>;
  /** Takes no more blocks; those taken are still written. */
  stop(): void;
}

const syncEveryMs = 1_000;

const toJsonValue = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value ?? null, (_key, item) =>
      typeof item === "bigint" ? item.toString() : item,
    ),
  );

const encodeSettings = (stream: TagStream, options: RecorderOptions): Uint8Array =>
  encodeSettingsBlock({
    ...{ streamId: stream.streamId, clockId: stream.clockId, channels: stream.channels },
    tickPs: {
      numerator: stream.tickPs.numerator.toString(),
      denominator: stream.tickPs.denominator.toString(),
    },
    epochPs: stream.epochPs.toString(),
    anchor: {
      utcPs: stream.anchor.utcPs.toString(),
      uncertaintyPs: stream.anchor.uncertaintyPs.toString(),
    },
    notes: options.notes ?? "",
    snapshot: toJsonValue(options.snapshot),
  });

/** Something to write: bytes, or a held block that is encoded when its turn comes. */
interface Pending {
  readonly encode: () => Uint8Array;
  /** What it takes of `pendingBytesMax`. */
  readonly bytes: number;
  readonly release: () => void;
}

/** The blocks on their way to the disk. */
class RecorderQueue {
  readonly #options: RecorderOptions;
  readonly #progress: BehaviorSubject<RecorderProgress>;
  readonly #quota: RetainQuota | null;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #sequence = 1n;
  #segment = 0;
  #leftOut: LossInterval[] = [];
  #wake: (() => void) | null = null;
  #isEnded = false;

  constructor(options: RecorderOptions, progress: BehaviorSubject<RecorderProgress>) {
    this.#options = options;
    this.#progress = progress;
    const held = options.blocksHeldMax;
    this.#quota = held === undefined ? null : createRetainQuota("recorder", held);
  }

  push(bytes: Uint8Array): void {
    this.#enqueue({ encode: () => bytes, bytes: bytes.length, release: () => undefined });
  }

  /** Takes a block: encodes it, as it is readable only now, or holds it. */
  take(block: TagBlock): void {
    this.#segment = block.segment;
    const retained = this.#quota === null ? null : block.retain(this.#quota);
    const isOver = this.#pendingBytes > (this.#options.pendingBytesMax ?? 2 ** 28);
    if (this.#quota === null ? isOver : retained === null) {
      this.#leaveOut(block);
      return;
    }
    const losses = joinLosses([...this.#leftOut, ...block.losses], nativeLossesMax);
    this.#leftOut = [];
    const sequence = this.#sequence++;
    const encode = (): Uint8Array => {
      const { fromPs, toPs, segment } = block;
      const columns = { times: block.times(), channels: block.channels() };
      return encodeTagsBlock({ sequence, fromPs, toPs, segment, losses, ...columns });
    };
    if (retained === null) {
      this.push(encode());
    } else {
      this.#enqueue({ encode, bytes: 0, release: () => retained[Symbol.dispose]() });
    }
    this.#report({ tags: this.#progress.value.tags + block.count });
  }

  /** Ends the recording; what was left out last is told in a block of its own. */
  end(): void {
    const [first, last] = [this.#leftOut.at(0), this.#leftOut.at(-1)];
    if (first !== undefined && last !== undefined) {
      const empty = {
        times: new BigInt64Array(0),
        channels: new Uint8Array(0),
        losses: this.#leftOut,
      };
      const head = { sequence: this.#sequence++, fromPs: first.fromPs, toPs: last.toPs };
      this.push(encodeTagsBlock({ ...head, ...empty, segment: this.#segment }));
      this.#leftOut = [];
    }
    this.#isEnded = true;
    this.#wake?.();
  }

  /** Writes until the end; forces to disk at most once a second, and at the end. */
  async drain(file: FileHandle): Promise<void> {
    let syncedMs = this.#options.clock.monotonicMs();
    while (!this.#isEnded || this.#pending.length > 0) {
      if (this.#pending.length === 0) await this.#nextPush();
      for (
        let pending = this.#pending.shift();
        pending !== undefined;
        pending = this.#pending.shift()
      ) {
        const bytes = pending.encode();
        pending.release();
        await file.appendFile(bytes);
        this.#pendingBytes -= pending.bytes;
        this.#report({ bytesWritten: this.#progress.value.bytesWritten + bytes.length });
        const nowMs = this.#options.clock.monotonicMs();
        if (nowMs - syncedMs < syncEveryMs) continue;
        await file.datasync();
        syncedMs = nowMs;
      }
    }
    await file.datasync();
  }

  /** Gives back what will not be written. */
  abandon(): void {
    for (const pending of this.#pending.splice(0)) pending.release();
  }

  #enqueue(pending: Pending): void {
    this.#pending.push(pending);
    this.#pendingBytes += pending.bytes;
    this.#wake?.();
  }

  #nextPush(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }

  /** The time and tags of a block that is left out, and the losses it told of, go into the next one. */
  #leaveOut(block: TagBlock): void {
    const { fromPs, toPs, count, losses } = block;
    const last = this.#leftOut.at(-1);
    if (last?.cause === "subscriber-quota" && last.toPs === fromPs && losses.length === 0) {
      this.#leftOut[this.#leftOut.length - 1] = { ...last, toPs, count: (last.count ?? 0) + count };
    } else {
      const leftOut: LossInterval = { fromPs, toPs, count, cause: "subscriber-quota" };
      this.#leftOut = [...joinLosses([...this.#leftOut, ...losses, leftOut], nativeLossesMax)];
    }
    this.#report({ tagsLeftOut: this.#progress.value.tagsLeftOut + count });
  }

  #report(change: Partial<RecorderProgress>): void {
    this.#progress.next({ ...this.#progress.value, ...change });
  }
}

/**
 * Starts to record a stream into a new file.
 * @throws LabError `file.exists` when there is one already, `file.unwritable`.
 */
export async function recordStream(
  stream: TagStream,
  path: string,
  options: RecorderOptions,
): Promise<Recorder> {
  const file = await createFile(path);
  const progress = new BehaviorSubject<RecorderProgress>({
    tags: 0,
    bytesWritten: 0,
    tagsLeftOut: 0,
  });
  const queue = new RecorderQueue(options, progress);
  queue.push(encodeSettings(stream, options));
  let failure: unknown = null;
  const subscription: Subscription = stream.blocks$.subscribe({
    next: (block) => queue.take(block),
    error: (error: unknown) => {
      failure = error;
      queue.end();
    },
    complete: () => queue.end(),
  });
  const finish = async (): Promise<RecorderProgress> => {
    try {
      await queue.drain(file);
    } catch (error) {
      throw fileError(
        "file.unwritable",
        path,
        `cannot be written any further: ${messageOf(error)}; what was recorded until then can be read`,
      );
    } finally {
      subscription.unsubscribe();
      queue.abandon();
      await file.close();
      progress.complete();
    }
    if (failure !== null) throw failure;
    return progress.value;
  };
  const stop = (): void => {
    subscription.unsubscribe();
    queue.end();
  };
  const done = finish();
  // Who does not wait for the end is not to be ended by its failure.
  done.catch(() => undefined);
  return { progress$: progress.asObservable(), done, stop };
}

async function createFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "wx");
  } catch (error) {
    const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
    throw exists
      ? fileError(
          "file.exists",
          path,
          "exists already: recordings are never overwritten, choose another name",
        )
      : fileError("file.unwritable", path, `cannot be created: ${messageOf(error)}`);
  }
}
