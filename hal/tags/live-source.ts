/**
 * A streaming port as the main thread sees it: text between streams, and streams of tag blocks that an
 * ingest worker decodes. The main thread handles descriptors; the bytes never pass through it.
 */
import { Worker } from "node:worker_threads";
import { type Observable, Subject } from "rxjs";
import { type Clock, systemClock, withDeadline } from "../clock.ts";
import { entryPointUrl } from "../entry-point.ts";
import { isLabError, LabError } from "../errors.ts";
import type { ByteLink } from "../links/byte-link.ts";
import { createLinkEnd, type LinkEnd } from "../links/link-end.ts";
import type { HostedPort } from "../ports/port-client.ts";
import { errorOf } from "../ports/port-messages.ts";
import { ps } from "../units.ts";
import { BlockHub } from "./block-hub.ts";
import type {
  IngestAnchor,
  IngestCounts,
  IngestReport,
  IngestRequest,
  IngestSettings,
  StreamSettings,
  StreamStop,
} from "./ingest-messages.ts";
import type { StoppedStream } from "./ingest-stream.ts";
import type { LossInterval } from "./loss-interval.ts";
import { scratchBytesByFormat } from "./raw-decoder.ts";
import type { TagMemory } from "./tag-memory.ts";
import type { TagStream } from "./tag-stream.ts";

const attachTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const reasonTimeoutMs = 1_000;
const closeTimeoutMs = 3_000;
/** Blocks of one stream that may be held at a time, over all its subscribers; at 5 ms a block 0.3 s. */
const slotsDefault = 64;

/** What the stream is beyond its bytes. */
export interface LiveStreamSettings extends StreamSettings {
  readonly channels: TagStream["channels"];
  readonly tickPs: TagStream["tickPs"];
}

/** One running stream. */
export interface LiveStream {
  readonly tags: TagStream;
  /** Has the instrument stop; what it had on its way is delivered first. `finish` must follow. @throws LabError `link.timeout`. */
  stop(stop: StreamStop): Promise<StoppedStream>;
  /** Delivers the last block, with the losses that only the end could tell, and completes the stream. */
  finish(losses: readonly LossInterval[]): Promise<void>;
  /** Resolves when the stream has ended: undefined after `finish`, else why it broke. */
  readonly ended: Promise<LabError | undefined>;
}

/** A port whose bytes are time tags while a stream runs. */
export interface StreamingPort {
  /** Text to and from the instrument, between streams. */
  readonly link: ByteLink;
  /** Counts of the running stream, once a second and at its end. Hot. */
  readonly counts$: Observable<IngestCounts>;
  /**
   * Starts a stream; resolves when its first record arrived, so that its epoch is known. Subscribe to its blocks at
   * once: they are hot. @throws LabError `link.timeout`, `link.disconnected`.
   */
  startStream(settings: LiveStreamSettings): Promise<LiveStream>;
  /** Ends the worker and the port; a running stream breaks. Idempotent. */
  close(): Promise<void>;
}

interface RunningStream {
  readonly hub: BlockHub;
  readonly end: (reason: LabError | undefined) => void;
}

/** Requests to the worker by number, and what it reports by itself. */
class IngestChannel {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #answered = new Map<
    number,
    { resolve(report: IngestReport): void; reject(error: LabError): void }
  >();
  #nextRequestId = 1;
  #failure: LabError | undefined;

  constructor(worker: Worker, clock: Clock) {
    this.#worker = worker;
    this.#clock = clock;
  }

  tell(request: IngestRequest): void {
    this.#worker.postMessage(request);
  }

  async ask(makeRequest: (requestId: number) => IngestRequest): Promise<IngestReport> {
    if (this.#failure !== undefined) throw this.#failure;
    const requestId = this.#nextRequestId++;
    const answer = new Promise<IngestReport>((resolve, reject) => {
      this.#answered.set(requestId, { resolve, reject });
    });
    this.tell(makeRequest(requestId));
    try {
      return await withDeadline(this.#clock, answer, requestTimeoutMs);
    } finally {
      this.#answered.delete(requestId);
    }
  }

  /** Takes a report that answers a request; false when it is none. */
  settle(report: IngestReport): boolean {
    if (!("requestId" in report)) return false;
    const waiting = this.#answered.get(report.requestId);
    if (report.type === "failed") waiting?.reject(errorOf(report.error));
    else waiting?.resolve(report);
    return true;
  }

  fail(error: LabError): void {
    this.#failure = error;
    for (const { reject } of this.#answered.values()) reject(error);
  }
}

function startWorker(settings: IngestSettings): Worker {
  return new Worker(entryPointUrl("#hal/tags/ingest-worker"), {
    workerData: settings,
    execArgv: [],
  });
}

/** The host knows why a port ended; the socket only that it did. */
async function reasonOf(port: HostedPort, error: LabError): Promise<LabError> {
  if (!isLabError(error, "link.disconnected")) return error;
  const known = await withDeadline(systemClock, port.closed, reasonTimeoutMs).catch(() => error);
  return known ?? error;
}

class LivePort implements StreamingPort {
  readonly link: ByteLink;
  readonly #port: HostedPort;
  readonly #memory: TagMemory;
  readonly #channel: IngestChannel;
  readonly #end: LinkEnd;
  readonly #counts = new Subject<IngestCounts>();
  readonly #hasExited: Promise<void>;
  readonly #terminate: () => Promise<unknown>;
  #running: RunningStream | undefined;
  #isClosing = false;

  constructor(port: HostedPort, memory: TagMemory, channel: IngestChannel, worker: Worker) {
    this.#port = port;
    this.#memory = memory;
    this.#channel = channel;
    this.#end = createLinkEnd(port.url);
    this.#terminate = () => worker.terminate();
    this.#hasExited = new Promise((resolve) => worker.once("exit", () => resolve()));
    worker.on("message", (report: IngestReport) => this.#receive(report));
    worker.on("error", (error) =>
      this.#fail(
        new LabError("tags.ingest-failed", `${port.url}: ${error.message}`, { cause: error }),
      ),
    );
    this.link = {
      ...{ url: port.url, received$: this.#end.received$, closed: this.#end.closed },
      send: (bytes) => this.#send(bytes),
      close: () => this.close(),
    };
  }

  get counts$(): Observable<IngestCounts> {
    return this.#counts.asObservable();
  }

  async startStream(settings: LiveStreamSettings): Promise<LiveStream> {
    if (this.#running !== undefined) {
      throw new LabError("device.busy", `${this.#port.url} is streaming already: stop it first`);
    }
    const { channels, tickPs, ...stream } = settings;
    const hub = new BlockHub(this.#memory);
    let settle: (reason: LabError | undefined) => void = () => {};
    const ended = new Promise<LabError | undefined>((resolve) => {
      settle = resolve;
    });
    const running: RunningStream = { hub, end: settle };
    this.#running = running;
    try {
      const answer = await this.#channel.ask((requestId) => ({
        ...{ type: "start", requestId, settings: stream },
      }));
      if (answer.type !== "started") throw new TypeError(`unexpected ${answer.type}`);
      const tags = createTagStream(settings, answer.anchor, hub);
      return {
        ...{ tags, ended },
        stop: (stop) => this.#stop(stop),
        finish: (losses) => this.#finish(running, losses),
      };
    } catch (error) {
      if (this.#running === running) this.#running = undefined;
      throw isLabError(error) ? await reasonOf(this.#port, error) : error;
    }
  }

  async close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#channel.tell({ type: "close" });
    }
    await withDeadline(systemClock, this.#hasExited, closeTimeoutMs).catch(() => this.#terminate());
    await this.#port.close();
    this.#end.end();
  }

  async #send(bytes: Uint8Array): Promise<void> {
    this.#end.assertOpen();
    await this.#channel.ask((requestId) => ({ type: "send", requestId, bytes }));
  }

  async #stop(stop: StreamStop): Promise<StoppedStream> {
    const answer = await this.#channel.ask((requestId) => ({ type: "stop", requestId, stop }));
    if (answer.type !== "stopped") throw new TypeError(`unexpected ${answer.type}`);
    return answer;
  }

  async #finish(running: RunningStream, losses: readonly LossInterval[]): Promise<void> {
    await this.#channel.ask((requestId) => ({ type: "finish", requestId, losses }));
    if (this.#running === running) this.#running = undefined;
    running.hub.complete();
    running.end(undefined);
  }

  #receive(report: IngestReport): void {
    if (this.#channel.settle(report)) return;
    switch (report.type) {
      case "received":
        this.#end.receive(report.bytes);
        return;
      case "block":
        if (this.#running === undefined) this.#memory.release(report.block);
        else this.#running.hub.deliver(report.block);
        return;
      case "counts":
        this.#counts.next(report.counts);
        return;
      case "broken":
        void this.#break(errorOf(report.error));
        return;
      case "ended":
        this.#fail(report.error === null ? undefined : errorOf(report.error));
        return;
      case "attached":
      case "started":
      case "stopped":
      case "done":
      case "failed":
        // What answers a request was settled above; a late answer has nobody to wait for it.
        return;
    }
  }

  async #break(error: LabError): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    const reason = await reasonOf(this.#port, error);
    running.hub.fail(reason);
    running.end(reason);
  }

  #fail(error: LabError | undefined): void {
    const reason = error ?? new LabError("link.closed", `${this.#port.url} was closed`);
    this.#channel.fail(reason);
    void this.#break(reason);
    if (error === undefined) this.#end.end();
    else void reasonOf(this.#port, error).then((known) => this.#end.end(known));
  }
}

function createTagStream(
  settings: LiveStreamSettings,
  anchor: IngestAnchor,
  hub: BlockHub,
): TagStream {
  const { streamId, clockId, channels, tickPs } = settings;
  const [utcPs, uncertaintyPs] = [ps(anchor.utcPs), ps(anchor.uncertaintyPs)];
  return {
    ...{ streamId, clockId, channels, tickPs, epochPs: utcPs },
    ...{ anchor: { utcPs, uncertaintyPs }, blocks$: hub.blocks$ },
  };
}

/**
 * Hands a port to an ingest worker of its own. On failure the port is closed.
 * @throws LabError `tags.memory`, `link.closed`, `link.timeout`.
 */
export async function openStreamingPort(
  port: HostedPort,
  options: {
    readonly tagMemory: TagMemory;
    readonly tagKernels: WebAssembly.Module;
    readonly clock: Clock;
    readonly slots?: number;
  },
): Promise<StreamingPort> {
  const { tagMemory, tagKernels, clock, slots = slotsDefault } = options;
  const resources: Disposable[] = [];
  const giveBack = (): void => {
    for (const resource of resources.splice(0)) resource[Symbol.dispose]();
  };
  let hasWorker = false;
  try {
    const slotRange = tagMemory.allocateSlots(slots);
    resources.push(slotRange);
    const scratch = tagMemory.allocate(Math.max(...Object.values(scratchBytesByFormat)));
    resources.push(scratch);
    const worker = startWorker({
      ...{ attachment: port.attachment, memory: tagMemory.share, kernels: tagKernels },
      range: { firstSlot: slotRange.firstSlot, slots: slotRange.slots },
      scratchAddress: scratch.address,
      utcOffsetPs: clock.utcPs() - systemClock.utcPs(),
    });
    hasWorker = true;
    worker.once("exit", giveBack);
    const channel = new IngestChannel(worker, systemClock);
    const attached = new Promise<void>((resolve, reject) => {
      worker.on("message", (report: IngestReport) => {
        if (report.type === "attached") resolve();
        if (report.type === "ended" && report.error !== null) reject(errorOf(report.error));
      });
      worker.once("error", reject);
    });
    const live = new LivePort(port, tagMemory, channel, worker);
    await withDeadline(systemClock, attached, attachTimeoutMs);
    return live;
  } catch (error) {
    await port.close().catch(() => {});
    // Once a worker runs, its exit gives back: it may still write.
    if (!hasWorker) giveBack();
    throw error;
  }
}
