/** Reads a recording of fixed-size records: chunks of the file straight into shared memory, decoded there. */
import { readSync } from "node:fs";
import { ps } from "../units.ts";
import { fileError, type RecordPlan } from "./formats/recording-format.ts";
import {
  inputBytes,
  type RecordingFacts,
  type RecordingJob,
  recordingScratch,
} from "./recording-job.ts";
import type { RecordDecoder, TagKernels } from "./tag-kernels.ts";
import type { TagStaging } from "./tag-staging.ts";
import { findTdc1Place, tdc1ProvingBytes, tdc1StepTicksMax } from "./tdc1-place.ts";

/** Tags that one record can become. */
const tagsPerRecordMax = 4;

/** Byte offset, in a decoder's state, of the number of records it took. */
const consumedOffsets = { "hydra-harp": 28, "pico-harp": 28, a1: 20, tdc1: 16 } as const;

const decoderOf = (kernels: TagKernels, plan: RecordPlan): RecordDecoder => {
  switch (plan.kernel) {
    case "hydra-harp":
      return kernels.decodeHydraHarpT2;
    case "pico-harp":
      return kernels.decodePicoHarpT2;
    case "a1":
      return kernels.decodeA1Events;
    case "tdc1":
      return kernels.decodeTdc1Words;
  }
};

/** Reads all records of one file. */
export class RecordReader {
  readonly #job: RecordingJob;
  readonly #plan: RecordPlan;
  readonly #kernels: TagKernels;
  readonly #decode: RecordDecoder;
  readonly #staging: TagStaging;
  readonly #state: DataView;
  readonly #input: Uint8Array;
  readonly #warnings: string[];
  #hasStarted = false;
  #slips = 0;
  /** The step to the next word says nothing: bytes were lost before it. */
  #isPlaceNew = false;

  constructor(job: RecordingJob, plan: RecordPlan, kernels: TagKernels, staging: TagStaging) {
    this.#job = job;
    this.#plan = plan;
    this.#kernels = kernels;
    this.#decode = decoderOf(kernels, plan);
    this.#staging = staging;
    this.#warnings = [...job.warnings];
    const { buffer } = job.share.memory;
    this.#state = new DataView(buffer, job.scratchAddress + recordingScratch.state, 64);
    this.#input = new Uint8Array(buffer, job.scratchAddress + recordingScratch.input, inputBytes);
  }

  /** Reads to the end and gives what was found. */
  read(file: number): RecordingFacts {
    this.#initialise();
    const { firstRecordByte, recordBytes, records } = this.#plan;
    const end = firstRecordByte + records * recordBytes;
    for (let position = firstRecordByte; position < end; ) {
      const wanted = Math.min(inputBytes, end - position);
      const bytes = readSync(file, this.#input, 0, wanted, position);
      if (bytes < recordBytes) break;
      position += this.#takeChunk(Math.floor(bytes / recordBytes), bytes);
      if (end - position < recordBytes) break;
    }
    return this.#finish();
  }

  #initialise(): void {
    const plan = this.#plan;
    if (plan.kernel === "a1") {
      this.#state.setUint32(16, plan.isLegacy ? 1 : 0, true);
    } else if (plan.kernel !== "tdc1") {
      this.#state.setBigInt64(8, BigInt(plan.resolutionPs), true);
      this.#state.setBigInt64(16, BigInt(plan.wrapTicks), true);
      this.#state.setUint32(24, plan.countsWraps ? 1 : 0, true);
    }
    if (plan.startsAtZero) this.#start(0n);
  }

  #start(fromPs: bigint): void {
    this.#staging.start(fromPs, false);
    this.#hasStarted = true;
  }

  /** Decodes what the input holds; gives how many bytes of it were dealt with. */
  #takeChunk(records: number, bytes: number): number {
    const { recordBytes } = this.#plan;
    const slip = this.#plan.kernel === "tdc1" ? this.#findSlip(records) : records;
    this.#decodeRecords(slip);
    if (slip === records) return records * recordBytes;
    return slip * recordBytes + this.#findPlace(slip * recordBytes, bytes);
  }

  #decodeRecords(records: number): void {
    const { recordBytes, kernel } = this.#plan;
    for (let done = 0; done < records; ) {
      const { times, channels, capacity } = this.#staging.room();
      if (capacity < tagsPerRecordMax) {
        const { path, reorderWindowPs } = this.#job;
        throw fileError(
          "file.unsortable",
          path,
          `has more tags within ${reorderWindowPs} ps than can be sorted: lower the reorder window`,
        );
      }
      const at = this.#input.byteOffset + done * recordBytes;
      const tags = this.#decode(
        this.#state.byteOffset,
        at,
        records - done,
        times,
        channels,
        capacity,
      );
      if (!this.#hasStarted && tags > 0)
        this.#start(new BigInt64Array(this.#job.share.memory.buffer, times, 1)[0] ?? 0n);
      this.#staging.append(tags);
      done += this.#state.getUint32(consumedOffsets[kernel], true);
    }
  }

  #findSlip(words: number): number {
    const hasPrevious = this.#state.getUint32(12, true) === 1 && !this.#isPlaceNew;
    this.#isPlaceNew = false;
    const previous = hasPrevious ? this.#state.getUint32(8, true) : 0xffff_ffff;
    const at = this.#input.byteOffset;
    return this.#kernels.findTdc1Slip(at, words, previous, tdc1StepTicksMax, 0xffff_ffff);
  }

  /** Seeks the next place at which words make sense and tells of the loss; gives the bytes to skip. */
  #findPlace(from: number, bytes: number): number {
    const view = new DataView(this.#input.buffer, this.#input.byteOffset, bytes);
    const place = findTdc1Place(view, from);
    // Within the last bytes of a chunk nothing can be proved: they are looked at again with what follows.
    const next = place ?? Math.max(from + 1, bytes < inputBytes ? bytes : bytes - tdc1ProvingBytes);
    this.#slips++;
    this.#isPlaceNew = true;
    this.#staging.settle();
    const fromPs = ps((this.#staging.lastPs ?? -1n) + 1n);
    if (this.#hasStarted) {
      this.#staging.close(fromPs, [{ fromPs, toPs: fromPs, count: null, cause: "desynchronised" }]);
      this.#staging.start(fromPs, true);
    }
    return next - from;
  }

  #finish(): RecordingFacts {
    this.#staging.settle();
    const afterLastPs = (this.#staging.lastPs ?? -1n) + 1n;
    const coveredPs = this.#coveredByWrapsPs();
    const toPs = ps(coveredPs > afterLastPs ? coveredPs : afterLastPs);
    const isCut = (this.#job.missingRecords ?? 0) > 0;
    this.#staging.close(
      toPs,
      isCut ? [{ fromPs: toPs, toPs, count: null, cause: "damaged-file" }] : [],
    );
    if (this.#plan.kernel === "hydra-harp") {
      const unknown = this.#state.getUint32(36, true);
      if (unknown > 0)
        this.#warnings.push(`${unknown} special records of no known meaning were skipped`);
    }
    if (this.#slips > 0)
      this.#warnings.push(`the place among the words was lost ${this.#slips} times`);
    return this.#staging.facts(this.#plan.records, this.#warnings);
  }

  /** Overflow records after the last tag say that time went on. */
  #coveredByWrapsPs(): bigint {
    if (!this.#plan.startsAtZero) return 0n;
    return this.#state.getBigInt64(0, true) * BigInt(this.#plan.resolutionPs);
  }
}
