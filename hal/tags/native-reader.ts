/** Reads a native recording block by block, as far as the checksums hold; the rest is reported as lost. */
import { readSync } from "node:fs";
import { ps } from "../units.ts";
import {
  isIntact,
  type NativeBlockHead,
  nativeHeadBytes,
  parseNativeHead,
  parseNativePayload,
} from "./formats/native-recording.ts";
import type { RecordingFacts, RecordingJob } from "./recording-job.ts";
import { stagingTags } from "./recording-job.ts";
import type { TagStaging } from "./tag-staging.ts";

/** Reads all good blocks of one file. */
export class NativeReader {
  readonly #job: RecordingJob;
  readonly #staging: TagStaging;
  readonly #warnings: string[];
  #blocks = 0;
  #toPs: bigint | null = null;
  #segment = 0;

  constructor(job: RecordingJob, staging: TagStaging) {
    this.#job = job;
    this.#staging = staging;
    this.#warnings = [...job.warnings];
  }

  /** Reads to the end, or to the first block that is not whole, and gives what was found. */
  read(file: number): RecordingFacts {
    let position = 0;
    while (position < this.#job.fileBytes) {
      const bytes = this.#readBlock(file, position);
      if (bytes === null) break;
      position += bytes;
    }
    const lostBytes = this.#job.fileBytes - position;
    if (lostBytes > 0) this.#reportDamage(lostBytes);
    return this.#staging.facts(this.#blocks, this.#warnings);
  }

  #readBlock(file: number, position: number): number | null {
    const headBytes = new Uint8Array(nativeHeadBytes);
    if (readSync(file, headBytes, 0, nativeHeadBytes, position) < nativeHeadBytes) return null;
    const head = parseNativeHead(headBytes);
    if (head === null || head.count > stagingTags) return null;
    const payload = new Uint8Array(head.payloadBytes);
    const read = readSync(file, payload, 0, payload.length, position + nativeHeadBytes);
    if (read < payload.length || !isIntact(headBytes, payload)) return null;
    if (head.kind === "tags") this.#take(head, payload);
    return nativeHeadBytes + payload.length;
  }

  #take(head: NativeBlockHead, payload: Uint8Array): void {
    const { losses, timesAt, channelsAt } = parseNativePayload(head, payload);
    if (this.#toPs !== head.fromPs || head.segment !== this.#segment) {
      this.#staging.start(head.fromPs, this.#toPs !== null && head.segment !== this.#segment);
    }
    const { times, channels } = this.#staging.room();
    const { buffer } = this.#job.share.memory;
    const bytes = new Uint8Array(buffer);
    bytes.set(payload.subarray(timesAt, channelsAt), times);
    bytes.set(payload.subarray(channelsAt, channelsAt + head.count), channels);
    this.#staging.append(head.count);
    this.#staging.settle();
    this.#staging.close(head.toPs, losses);
    this.#toPs = head.toPs;
    this.#segment = head.segment;
    this.#blocks++;
  }

  #reportDamage(bytesLost: number): void {
    const atPs = ps(this.#toPs ?? 0n);
    this.#warnings.push(
      `the last ${bytesLost} bytes are no whole block and are lost: the recording was cut off or damaged there`,
    );
    this.#staging.close(atPs, [{ fromPs: atPs, toPs: atPs, count: null, cause: "damaged-file" }]);
  }
}
