/** The thread that reads a recording into tag memory. Its data is a RecordingJob; it posts RecordingMessages. */
import { closeSync, openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { isLabError, messageOf } from "../errors.ts";
import { NativeReader } from "./native-reader.ts";
import { RecordReader } from "./record-reader.ts";
import type { RecordingFacts, RecordingJob, RecordingMessage } from "./recording-job.ts";
import { instantiateTagKernels } from "./tag-kernels.ts";
import { TagMemory } from "./tag-memory.ts";
import { StopRequest, TagStaging } from "./tag-staging.ts";

function readRecording(job: RecordingJob, staging: TagStaging): RecordingFacts {
  const file = openSync(job.path, "r");
  try {
    if (job.plan === null) return new NativeReader(job, staging).read(file);
    const kernels = instantiateTagKernels(job.kernels, job.share.memory);
    return new RecordReader(job, job.plan, kernels, staging).read(file);
  } finally {
    closeSync(file);
  }
}

function run(job: RecordingJob, post: (message: RecordingMessage) => void): void {
  const memory = TagMemory.attach(job.share);
  const kernels = instantiateTagKernels(job.kernels, memory.memory);
  const staging = new TagStaging(job, memory, kernels, (block) => post({ kind: "block", block }));
  try {
    post({ kind: "end", facts: readRecording(job, staging) });
  } catch (error) {
    staging.discard();
    if (error instanceof StopRequest) {
      post({ kind: "stopped" });
    } else if (isLabError(error)) {
      post({ kind: "error", code: error.code, message: error.message, details: error.details });
    } else {
      const message = `${job.path} could not be read: ${messageOf(error)}`;
      post({ kind: "error", code: "file.unreadable", message, details: { path: job.path } });
    }
  }
}

const port = parentPort;
if (port !== null) run(workerData as RecordingJob, (message) => port.postMessage(message));
