/**
 * Ingest worker: entry point of the thread that owns a streaming port's data socket. Between streams it
 * passes text through to the main thread; while a stream runs it decodes bytes into blocks of tag memory and
 * posts their descriptors, so that nothing the main thread does costs a tag.
 */
import type { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { offsetClock, systemClock } from "../clock.ts";
import { LabError, messageOf } from "../errors.ts";
import { disconnected } from "../links/link-end.ts";
import { attachToPort } from "../ports/port-attachment.ts";
import { factsOf } from "../ports/port-messages.ts";
import { ps, roundMsToPs } from "../units.ts";
import { BlockWriter } from "./block-writer.ts";
import type {
  IngestReport,
  IngestRequest,
  IngestSettings,
  StreamSettings,
} from "./ingest-messages.ts";
import { IngestStream } from "./ingest-stream.ts";
import { createRawDecoder, scratchBytesByFormat } from "./raw-decoder.ts";
import { instantiateTagKernels } from "./tag-kernels.ts";
import { TagMemory } from "./tag-memory.ts";
import type { TagBlockDescriptor } from "./tag-stream.ts";

const settings = workerData as IngestSettings;
const clock = offsetClock(systemClock, ps(settings.utcOffsetPs));
const memory = TagMemory.attach(settings.memory);
const kernels = instantiateTagKernels(settings.kernels, memory.memory);
let stream: IngestStream | undefined;

const report = (message: IngestReport): void => parentPort?.postMessage(message);

const reportBlock = (block: TagBlockDescriptor): void => report({ type: "block", block });

const toLabError = (error: unknown): LabError =>
  error instanceof LabError
    ? error
    : new LabError("tags.ingest-failed", messageOf(error), { cause: error });

function createStream(socket: Socket, options: StreamSettings): IngestStream {
  const { format, streamId, clockId, blockAgeMs } = options;
  const { range, scratchAddress } = settings;
  new Uint8Array(memory.memory.buffer, scratchAddress, scratchBytesByFormat[format]).fill(0);
  const writer = new BlockWriter(memory, {
    ...{ streamId, clockId, range, blockAgeMs, clock, whenFull: "drop" },
  });
  const startedMs = clock.monotonicMs();
  const decoder = createRawDecoder(format, {
    ...{ kernels, memory: memory.memory, scratchAddress, writer, emit: reportBlock },
    hostElapsedPs: () => roundMsToPs(clock.monotonicMs() - startedMs),
  });
  return new IngestStream(options, {
    ...{ clock, writer, decoder },
    effects: {
      send: (bytes) => void socket.write(bytes),
      counts: (counts) => report({ type: "counts", counts }),
      broken: (error) => {
        stream = undefined;
        report({ type: "broken", error: factsOf(error) });
      },
    },
  });
}

async function obey(
  socket: Socket,
  request: Exclude<IngestRequest, { type: "close" }>,
): Promise<void> {
  const { requestId } = request;
  switch (request.type) {
    case "send":
      await new Promise<void>((resolve, reject) => {
        socket.write(request.bytes, (error) => {
          if (error) reject(disconnected(settings.attachment.url, error));
          else resolve();
        });
      });
      report({ type: "done", requestId });
      return;
    case "start": {
      stream = createStream(socket, request.settings);
      const anchor = await stream.start();
      report({ type: "started", requestId, anchor });
      return;
    }
    case "stop": {
      if (stream === undefined) throw new LabError("device.idle", "no stream is running");
      const stopped = await stream.stop(request.stop);
      report({ type: "stopped", requestId, ...stopped });
      return;
    }
    case "finish":
      stream?.finish(request.losses);
      stream = undefined;
      report({ type: "done", requestId });
  }
}

async function ingest(): Promise<void> {
  const { url } = settings.attachment;
  const socket = await attachToPort(settings.attachment, clock);
  let failure: Error | undefined;
  let isClosing = false;
  socket.on("error", (error) => {
    failure = error;
  });
  socket.on("end", () => socket.destroy());
  socket.on("close", () => {
    const error = disconnected(url, failure);
    stream?.break(error);
    report({ type: "ended", error: isClosing ? null : factsOf(error) });
    parentPort?.close();
  });
  socket.on("data", (bytes: Buffer) => {
    if (stream === undefined) report({ type: "received", bytes: Uint8Array.from(bytes) });
    else stream.receive(bytes);
  });
  parentPort?.on("message", (request: IngestRequest) => {
    if (request.type === "close") {
      isClosing = true;
      socket.destroySoon();
      return;
    }
    const { requestId } = request;
    obey(socket, request).catch((error: unknown) =>
      report({ type: "failed", requestId, error: factsOf(toLabError(error)) }),
    );
  });
  socket.resume();
  report({ type: "attached" });
}

ingest().catch((error: unknown) => {
  report({ type: "ended", error: factsOf(toLabError(error)) });
  parentPort?.close();
});
