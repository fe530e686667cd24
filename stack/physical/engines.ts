/** Opens engines: in a worker thread over shared tag memory, or in this thread. */
import { Worker } from "node:worker_threads";
import { entryPointUrl } from "../../hal/entry-point.ts";
import type { RandomSource } from "../../hal/random.ts";
import type { TagMemory } from "../../hal/tags/tag-memory.ts";
import { searchClock } from "./clock-search.ts";
import type { PhysicalWorkerData } from "./engine-messages.ts";
import {
  type BlockReader,
  createEngine,
  type EngineOutput,
  type EngineSettings,
  type LinkEngine,
} from "./link-engine.ts";

/** Starts the engine in a worker thread, from dist. `failed` is called once if the thread dies. */
export function startEngineWorker(
  settings: EngineSettings,
  host: {
    readonly memory: TagMemory;
    readonly emit: (output: EngineOutput) => void;
    readonly failed: (error: unknown) => void;
  },
): LinkEngine {
  const data: PhysicalWorkerData = { settings, memory: host.memory.share };
  const worker = new Worker(entryPointUrl("#stack/physical/physical-worker"), { workerData: data });
  worker.on("message", host.emit);
  worker.once("error", host.failed);
  return {
    take: (input) => worker.postMessage(input),
    close: async () => {
      await worker.terminate();
    },
  };
}

/** Makes an engine that works in this thread, searches included: for tests, simulations, replays. */
export function createInlineEngine(
  settings: EngineSettings,
  host: {
    readonly random: RandomSource;
    readonly read: BlockReader;
    readonly emit: (output: EngineOutput) => void;
  },
): LinkEngine {
  const take = createEngine(settings, {
    ...host,
    search: (request, ended) => ended(searchClock(request)),
  });
  return { take, close: () => Promise.resolve() };
}
