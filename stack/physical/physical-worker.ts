/**
 * The worker thread of one end of a link: announcements or matching, over the shared tag memory. The blind
 * search runs in a thread of its own (clock-search-worker.ts) that lives while it searches, so that
 * announcements are answered meanwhile. Double clicks draw from the operating system's generator.
 */
import { parentPort, Worker, workerData } from "node:worker_threads";
import { entryPointUrl } from "../../hal/entry-point.ts";
import { systemRandom } from "../../hal/random.ts";
import { TagMemory } from "../../hal/tags/tag-memory.ts";
import type { ClockSearchRequest, ClockSearchResult } from "./clock-search.ts";
import type { PhysicalWorkerData } from "./engine-messages.ts";
import { createEngine, type EngineInput } from "./link-engine.ts";

const port = parentPort;
if (port === null) throw new TypeError("the physical worker runs in a worker thread");
const { settings, memory: share } = workerData as PhysicalWorkerData;
const memory = TagMemory.attach(share);

let searching: Worker | null = null;

/** Searches, one at a time: a new search means that nobody waits for the old one. */
function search(request: ClockSearchRequest, ended: (result: ClockSearchResult) => void): void {
  void searching?.terminate();
  const worker = new Worker(entryPointUrl("#stack/physical/clock-search-worker"), {
    workerData: request,
    transferList: [request.localTimes.buffer, request.remoteTimes.buffer] as ArrayBuffer[],
  });
  searching = worker;
  worker.once("message", (result: ClockSearchResult) => {
    if (searching !== worker) return;
    searching = null;
    ended(result);
  });
  worker.once("error", (error) => {
    // Surfaces as this worker's own error, which closes the link with its reason.
    queueMicrotask(() => {
      throw error;
    });
  });
}

const take = createEngine(settings, {
  random: systemRandom,
  read: (block) => ({ times: memory.times(block), channels: memory.channels(block) }),
  emit: (output) => port.postMessage(output),
  search,
});
port.on("message", (input: EngineInput) => take(input));
