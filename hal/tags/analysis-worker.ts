/** The thread that measures. Its data is an AnalysisJob; it takes AnalysisRequests and posts AnalysisMessages. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import { isLabError, messageOf } from "../errors.ts";
import type { AnalysisJob, AnalysisMessage, AnalysisRequest } from "./analysis-messages.ts";
import { BlockAnalysis } from "./block-analysis.ts";
import { instantiateTagKernels } from "./tag-kernels.ts";
import { TagMemory } from "./tag-memory.ts";

function runAnalysis(job: AnalysisJob, port: MessagePort): void {
  const memory = TagMemory.attach(job.share);
  const kernels = instantiateTagKernels(job.kernels, memory.memory);
  const analysis = new BlockAnalysis(memory, kernels, job.specs, job);
  const post = (message: AnalysisMessage): void => port.postMessage(message);
  let reportedMs = systemClock.monotonicMs();

  const take = (request: AnalysisRequest): void => {
    if (request.kind === "finish") {
      post({ kind: "report", report: analysis.report(true) });
      port.close();
      return;
    }
    if (request.kind === "block") {
      analysis.take(request.block);
      post({ kind: "taken" });
    } else {
      analysis.miss(request.loss);
    }
    const nowMs = systemClock.monotonicMs();
    if (nowMs - reportedMs < job.reportEveryMs) return;
    reportedMs = nowMs;
    post({ kind: "report", report: analysis.report(false) });
  };

  port.on("message", (request: AnalysisRequest) => {
    try {
      take(request);
    } catch (error) {
      const code = isLabError(error) ? error.code : "tags.analysis";
      const details = isLabError(error) ? error.details : {};
      post({ kind: "error", code, message: messageOf(error), details });
      port.close();
    }
  });
}

if (parentPort !== null) runAnalysis(workerData as AnalysisJob, parentPort);
