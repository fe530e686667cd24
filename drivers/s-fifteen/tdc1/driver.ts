import { map, type Observable } from "rxjs";
import type { DeviceIdentity, DeviceState } from "../../../hal/device.ts";
import { createDeviceState, type DeviceStateKeeper } from "../../../hal/device-state.ts";
import { isLabError, LabError, messageOf } from "../../../hal/errors.ts";
import { createLineClient, type LineClient } from "../../../hal/links/line-client.ts";
import type { DriverContext } from "../../../hal/manifest.ts";
import type { TaggerHealth, TimeTagger } from "../../../hal/roles/time-tagger.ts";
import type {
  LiveStream,
  LiveStreamSettings,
  StreamingPort,
} from "../../../hal/tags/live-source.ts";
import type { LossInterval } from "../../../hal/tags/loss-interval.ts";
import type { TagStream } from "../../../hal/tags/tag-stream.ts";
import { ps } from "../../../hal/units.ts";
import { familyMarker, parseIdentity } from "../dialect.ts";
import { identifyBoard } from "../identify.ts";
import type { Tdc1Settings } from "./manifest.ts";
import {
  flushCommand,
  isLevel,
  parseLevelV,
  parseStatus,
  resetCommand,
  safeCommand,
  setAndReadThreshold,
  startCommand,
  statusTail,
  stopCommand,
  tdc1Family,
  tdc1Format,
  tdc1TickPs,
} from "./protocol.ts";

const inputs = 4;
/** A dark tagger's first word takes 134 ms and a flush; the rest is for a PC that is held up. */
const startTimeoutMs = 4_000;
const stopTimeoutMs = 4_000;
const statusQuietMs = 20;
const levelTimeoutMs = 300;
/** Half a unit of the last digit that is sent, and the comparator's own error. */
const levelToleranceV = 0.05;
/** With 200 ms between them, 3 s: a PC that is held up for that long is no reason to give the instrument up. */
const flushTriesMax = 14;
const blockAgeMs = 5;

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

interface OpenPort {
  readonly streaming: StreamingPort;
  readonly client: LineClient;
  readonly state: DeviceStateKeeper;
  readonly identityLine: string;
}

/** Sets a threshold in volts and reads it back; presets have no documented reading. */
async function setThreshold(
  client: LineClient,
  settings: Tdc1Settings,
  name: string,
): Promise<void> {
  const { thresholdV } = settings;
  if (thresholdV === undefined) return;
  const { reply, remarks } = await client.query(setAndReadThreshold(settings), {
    isReply: isLevel,
    timeoutMs: levelTimeoutMs,
  });
  const levelV = parseLevelV(reply);
  if (remarks.length === 0 && Math.abs(levelV - thresholdV) <= levelToleranceV) return;
  throw new LabError(
    "device.refused",
    `${name}: the threshold is ${levelV} V after setting thresholdV ${thresholdV}; choose another`,
    { details: { device: name, levelV, thresholdV, remarks } },
  );
}

async function openPort(context: DriverContext, settings: Tdc1Settings): Promise<OpenPort> {
  const { name, port, clock, logger } = context;
  const state = createDeviceState(clock);
  const streaming = await port.attachStreaming();
  const marker = familyMarker(tdc1Family);
  const client = createLineClient(streaming.link, { marker, clock, logger });
  try {
    const board = { name, url: port.url, family: tdc1Family };
    const identityLine = await identifyBoard(client, board);
    await port.setSafeState([{ bytes: bytesOf(safeCommand), delayMs: 0 }]);
    await setThreshold(client, settings, name);
    return { streaming, client, state, identityLine };
  } catch (error) {
    client.dispose();
    await streaming.close().catch(() => {});
    throw error;
  }
}

/** A TDC1 that was identified. */
class Tdc1 implements TimeTagger {
  readonly role = "time-tagger";
  readonly driver = "s-fifteen/tdc1";
  readonly name: string;
  readonly identity: DeviceIdentity;
  readonly capabilities = { inputs, tickPs: tdc1TickPs, marksLossInStream: false };
  readonly health$: Observable<TaggerHealth>;
  readonly #context: DriverContext;
  readonly #settings: Tdc1Settings;
  readonly #port: OpenPort;
  #live: LiveStream | undefined;
  #isStarting = false;
  #stopping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #overflowSeen = false;
  #streams = 0;

  constructor(context: DriverContext, settings: Tdc1Settings, port: OpenPort) {
    this.#context = context;
    this.#settings = settings;
    this.#port = port;
    this.name = context.name;
    this.identity = parseIdentity(port.identityLine, "TDC1");
    this.health$ = port.streaming.counts$.pipe(
      map((counts) => ({ ...counts, overflowSeen: this.#overflowSeen })),
    );
    void port.streaming.link.closed.then((reason) => {
      if (reason !== undefined) port.state.fail("disconnected", reason);
    });
    port.state.set("ready");
  }

  get state$(): Observable<DeviceState> {
    return this.#port.state.state$;
  }

  async startTagging(): Promise<TagStream> {
    if (this.#live !== undefined || this.#isStarting) {
      throw new LabError("device.busy", `${this.name} is tagging already: stop it first`);
    }
    this.#isStarting = true;
    try {
      const live = await this.#port.streaming.startStream(this.#streamSettings());
      this.#live = live;
      this.#port.state.set("active");
      this.#context.logger.info("tagging; whether its buffer overflows shows when tagging stops");
      void live.ended.then((reason) => this.#noteEnd(live, reason));
      return live.tags;
    } finally {
      this.#isStarting = false;
    }
  }

  stopTagging(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #streamSettings(): LiveStreamSettings {
    const { name, port, clock } = this.#context;
    return {
      ...{
        streamId: `${name}-${clock.utcPs()}-${++this.#streams}`,
        format: tdc1Format,
        blockAgeMs,
      },
      // One oscillator a box, and one box a port.
      clockId: `${this.driver}@${port.url}`,
      channels: Array.from({ length: inputs }, (_, channel) => ({
        channel,
        label: String(channel + 1),
      })),
      tickPs: tdc1TickPs,
      startBytes: bytesOf(startCommand(this.#settings)),
      startTimeoutMs,
      idle: {
        afterMs: this.#settings.flushIdleMs,
        bytes: bytesOf(flushCommand),
        triesMax: flushTriesMax,
      },
    };
  }

  #noteEnd(live: LiveStream, reason: LabError | undefined): void {
    if (this.#live === live) this.#live = undefined;
    if (reason === undefined) {
      this.#port.state.set("ready");
      return;
    }
    this.#context.logger.warn("the stream broke: whether the buffer had overflowed is not known");
    const isGone = isLabError(reason, "link.disconnected") || isLabError(reason, "link.port-host");
    this.#port.state.fail(isGone ? "disconnected" : "faulted", reason);
  }

  async #stop(): Promise<void> {
    const live = this.#live;
    if (live === undefined) return;
    const { tail, fromPs, toPs } = await live.stop({
      ...{ stopBytes: bytesOf(stopCommand), tailBytes: statusTail.bytes },
      ...{ tailPattern: statusTail.pattern, quietMs: statusQuietMs, timeoutMs: stopTimeoutMs },
    });
    const { word, hasOverflowed } = parseStatus(tail);
    const losses: LossInterval[] = [];
    if (hasOverflowed) {
      this.#overflowSeen = true;
      losses.push({ fromPs: ps(fromPs), toPs: ps(toPs), count: null, cause: "device-overflow" });
      this.#context.logger.warn(
        { status: word },
        "the tagger's buffer overflowed; tags are missing",
      );
    }
    await live.finish(losses);
    this.#live = undefined;
    this.#port.state.set("ready");
    await this.#port.client.send(resetCommand);
  }

  async #close(): Promise<void> {
    const { client, streaming, state } = this.#port;
    await this.stopTagging().catch((error: unknown) =>
      this.#context.logger.warn({ reason: messageOf(error) }, "the stream did not stop in order"),
    );
    client.dispose();
    try {
      await streaming.close();
    } catch (error) {
      // It has no outputs: a stream that it could not be told to end is ended by whoever opens it next.
      if (!isLabError(error, "device.not-made-safe")) throw error;
    } finally {
      state.close();
    }
  }
}

/**
 * Opens a TDC1: asks who it is, ends a stream that a crashed host left running, sets the threshold.
 * @throws LabError `device.wrong-kind`, `device.no-answer`, `device.refused`, `tags.memory`, `link.*`.
 */
export async function openTdc1(
  context: DriverContext,
  settings: Tdc1Settings,
): Promise<TimeTagger> {
  return new Tdc1(context, settings, await openPort(context, settings));
}
