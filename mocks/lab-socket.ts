/**
 * The lab socket: how the physics process hands clicks to mock instruments. A local socket (a Unix domain path, or
 * `tcp:host:port` where there is none) carrying frames both ways, little-endian:
 *
 *     u32 payload length | u8 type | payload
 *
 *     1 hello    instrument -> physics   JSON { "instrument": name }
 *     2 lab      physics -> instrument   JSON { "labEpochUtcPs": decimal string }: UTC of lab time 0
 *     3 clicks   physics -> instrument   i64 fromPs | i64 toPs | u32 count | u32 zero | count x i64 time | count x u8 input
 *     4 control  instrument -> physics   JSON { "pumpCurrentMa": number }; 0 is dark
 *
 * Times are lab time in ps: the true time at the instrument's input, sorted. Inputs are 0-based. A clicks frame covers
 * [fromPs, toPs), and the next one begins at or after `toPs`: later only when this instrument was too slow and frames to it were dropped.
 */
import { connect, type Socket } from "node:net";
import { z } from "zod";
import { systemClock, withDeadline } from "../hal/clock.ts";
import { LabError } from "../hal/errors.ts";
import { type Ps, ps } from "../hal/units.ts";

/** Clicks at one instrument's inputs in the lab time [fromPs, toPs). */
export interface LabClicks {
  readonly fromPs: Ps;
  readonly toPs: Ps;
  /** True times at the inputs, lab ps, ascending. Valid until the handler returns. */
  readonly timesPs: BigInt64Array;
  /** 0-based input of each click. Valid until the handler returns. */
  readonly inputs: Uint8Array;
}

/** A frame as it travels, its type by name. */
export type LabFrame =
  | { readonly type: "hello"; readonly instrument: string }
  | { readonly type: "lab"; readonly labEpochUtcPs: Ps }
  | ({ readonly type: "clicks" } & LabClicks)
  | { readonly type: "control"; readonly pumpCurrentMa: number };

const frameTypes = { hello: 1, lab: 2, clicks: 3, control: 4 } as const;
const headerBytes = 5;
const clicksHeaderBytes = 24;
/** No frame is longer: about 1.8 million clicks. */
const payloadBytesMax = 2 ** 24;
/** How long the lab may take to answer a hello. */
const answerTimeoutMs = 5_000;

const helloSchema = z.object({ instrument: z.string().min(1).max(256) });
const labSchema = z.object({ labEpochUtcPs: z.string().regex(/^-?\d{1,24}$/) });
const controlSchema = z.object({ pumpCurrentMa: z.number().min(0) });

/** Encodes one frame. */
export function encodeLabFrame(frame: LabFrame): Uint8Array {
  switch (frame.type) {
    case "hello":
      return jsonFrame(frameTypes.hello, { instrument: frame.instrument });
    case "lab":
      return jsonFrame(frameTypes.lab, { labEpochUtcPs: frame.labEpochUtcPs.toString() });
    case "control":
      return jsonFrame(frameTypes.control, { pumpCurrentMa: frame.pumpCurrentMa });
    case "clicks":
      return encodeClicks(frame);
  }
}

function startFrame(type: number, payloadBytes: number): Uint8Array {
  if (payloadBytes > payloadBytesMax) {
    throw new RangeError(`a lab frame holds at most ${payloadBytesMax} bytes, not ${payloadBytes}`);
  }
  const bytes = new Uint8Array(headerBytes + payloadBytes);
  new DataView(bytes.buffer).setUint32(0, payloadBytes, true);
  bytes[4] = type;
  return bytes;
}

function jsonFrame(type: number, value: unknown): Uint8Array {
  const payload = Buffer.from(JSON.stringify(value));
  const bytes = startFrame(type, payload.length);
  bytes.set(payload, headerBytes);
  return bytes;
}

function encodeClicks(clicks: LabClicks): Uint8Array {
  const count = clicks.timesPs.length;
  if (clicks.inputs.length !== count) throw new RangeError("as many inputs as times are needed");
  const bytes = startFrame(frameTypes.clicks, clicksHeaderBytes + 9 * count);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(headerBytes, clicks.fromPs, true);
  view.setBigInt64(headerBytes + 8, clicks.toPs, true);
  view.setUint32(headerBytes + 16, count, true);
  const timesAt = headerBytes + clicksHeaderBytes;
  // Typed arrays are little-endian on every machine that Node.js supports.
  const { buffer, byteOffset, byteLength } = clicks.timesPs;
  bytes.set(new Uint8Array(buffer, byteOffset, byteLength), timesAt);
  bytes.set(clicks.inputs, timesAt + 8 * count);
  return bytes;
}

/** Turns bytes, however they were cut, into frames. */
export interface LabFrameDecoder {
  /**
   * Takes the next bytes and calls `receive` for each frame that they complete.
   * @throws LabError `mock.lab-frame` on anything that is no frame; the connection is useless then.
   */
  push(bytes: Uint8Array, receive: (frame: LabFrame) => void): void;
}

/** Creates a decoder for one direction of one connection. It holds at most one frame. */
export function createLabFrameDecoder(): LabFrameDecoder {
  let held: Uint8Array = new Uint8Array(0);
  let heldBytes = 0;
  const reserve = (bytes: number): void => {
    if (held.length >= bytes) return;
    const grown = new Uint8Array(Math.max(bytes, 2 * held.length, 4096));
    grown.set(held.subarray(0, heldBytes));
    held = grown;
  };
  return {
    push: (bytes, receive) => {
      let at = 0;
      while (at < bytes.length) {
        const neededBytes = heldBytes < headerBytes ? headerBytes : frameBytesOf(held);
        const taken = Math.min(neededBytes - heldBytes, bytes.length - at);
        reserve(heldBytes + taken);
        held.set(bytes.subarray(at, at + taken), heldBytes);
        heldBytes += taken;
        at += taken;
        if (heldBytes >= headerBytes && heldBytes === frameBytesOf(held)) {
          const payload = held.subarray(headerBytes, heldBytes);
          heldBytes = 0;
          receive(parsePayload(held[4] ?? 0, payload));
        }
      }
    },
  };
}

function frameBytesOf(header: Uint8Array): number {
  const payloadBytes = new DataView(header.buffer, header.byteOffset, 4).getUint32(0, true);
  if (payloadBytes > payloadBytesMax) {
    throw new LabError(
      "mock.lab-frame",
      `a lab frame claims ${payloadBytes} bytes: not a lab socket`,
    );
  }
  return headerBytes + payloadBytes;
}

function parsePayload(type: number, payload: Uint8Array): LabFrame {
  switch (type) {
    case frameTypes.hello:
      return { type: "hello", ...parseJson(helloSchema, payload) };
    case frameTypes.lab:
      return {
        type: "lab",
        labEpochUtcPs: ps(BigInt(parseJson(labSchema, payload).labEpochUtcPs)),
      };
    case frameTypes.control:
      return { type: "control", ...parseJson(controlSchema, payload) };
    case frameTypes.clicks:
      return parseClicks(payload);
    default:
      throw new LabError("mock.lab-frame", `lab frames have types 1 to 4, not ${type}`);
  }
}

function parseJson<T>(schema: z.ZodType<T>, payload: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(payload).toString("utf8")));
  } catch (error) {
    throw misshapen(error);
  }
}

const misshapen = (cause: unknown): LabError =>
  new LabError("mock.lab-frame", "a lab frame holds JSON of another shape", { cause });

function parseClicks(payload: Uint8Array): LabFrame {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const count = payload.length < clicksHeaderBytes ? -1 : view.getUint32(16, true);
  if (payload.length !== clicksHeaderBytes + 9 * count) {
    throw new LabError(
      "mock.lab-frame",
      `a clicks frame of ${payload.length} bytes has a wrong count`,
    );
  }
  const inputsAt = clicksHeaderBytes + 8 * count;
  return {
    type: "clicks",
    fromPs: ps(view.getBigInt64(0, true)),
    toPs: ps(view.getBigInt64(8, true)),
    // A copy, because a BigInt64Array has to begin at a multiple of 8 bytes.
    timesPs: new BigInt64Array(payload.slice(clicksHeaderBytes, inputsAt).buffer),
    inputs: payload.subarray(inputsAt),
  };
}

/** What an instrument does with what it receives. */
export interface LabHandlers {
  /** Runs for every clicks frame; must return quickly, as a slow reader loses frames. */
  readonly clicks?: (clicks: LabClicks) => void;
  /** Runs once, when the connection has ended by itself; `error` is null when the physics process closed it. */
  readonly closed?: (error: LabError | null) => void;
}

/** An instrument's connection to the mock lab. */
export interface LabConnection {
  /** UTC of lab time 0, true time: what a perfect clock would have shown. */
  readonly labEpochUtcPs: Ps;
  /** Tells the lab the pump current that this instrument drives, in mA; 0 is dark. */
  setPumpCurrent(pumpCurrentMa: number): void;
  /** Ends the connection; `closed` is not called. Idempotent. */
  close(): void;
}

/** Gives the options under which node:net listens at or connects to a lab socket's path. */
export function labSocketAddress(
  socketPath: string,
): { readonly path: string } | { readonly host: string; readonly port: number } {
  const match = /^tcp:(.+):(\d+)$/.exec(socketPath);
  if (match === null) return { path: socketPath };
  return { host: match[1] ?? "", port: Number(match[2]) };
}

/**
 * Connects a mock instrument, under its name in the mock section, to the physics process.
 * Resolves when the lab has answered.
 * @throws LabError `mock.lab-unreachable` when nobody answers at `socketPath`.
 */
export async function connectLab(
  socketPath: string,
  instrument: string,
  handlers: LabHandlers,
): Promise<LabConnection> {
  const socket = connect(labSocketAddress(socketPath));
  const answer = speakOn(socket, { socketPath, instrument, handlers });
  try {
    return await withDeadline(systemClock, answer, answerTimeoutMs, () => unreachable(socketPath));
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Says hello on a new connection and resolves when the lab has answered. */
function speakOn(
  socket: Socket,
  {
    socketPath,
    instrument,
    handlers,
  }: {
    readonly socketPath: string;
    readonly instrument: string;
    readonly handlers: LabHandlers;
  },
): Promise<LabConnection> {
  return new Promise((resolve, reject) => {
    const decoder = createLabFrameDecoder();
    let connection: LabConnection | null = null;
    let isClosedHere = false;
    let error: LabError | null = null;
    const receive = (frame: LabFrame): void => {
      if (isClosedHere) return;
      if (frame.type === "clicks") handlers.clicks?.(frame);
      if (frame.type === "lab") {
        connection = createConnection(socket, frame.labEpochUtcPs, () => {
          isClosedHere = true;
        });
        resolve(connection);
      }
    };
    socket.on("connect", () => socket.write(encodeLabFrame({ type: "hello", instrument })));
    socket.on("data", (bytes) => {
      try {
        decoder.push(bytes, receive);
      } catch (thrown) {
        if (!(thrown instanceof LabError)) throw thrown;
        error = thrown;
        socket.destroy();
      }
    });
    socket.on("error", (cause) => {
      error = unreachable(socketPath, cause);
    });
    socket.on("close", () => {
      if (connection === null) reject(error ?? unreachable(socketPath));
      else if (!isClosedHere) handlers.closed?.(error);
    });
  });
}

const createConnection = (
  socket: Socket,
  labEpochUtcPs: Ps,
  noteClosed: () => void,
): LabConnection => ({
  labEpochUtcPs,
  setPumpCurrent: (pumpCurrentMa) => {
    if (socket.writable) socket.write(encodeLabFrame({ type: "control", pumpCurrentMa }));
  },
  close: () => {
    noteClosed();
    socket.destroy();
  },
});

const unreachable = (socketPath: string, cause?: unknown): LabError =>
  new LabError("mock.lab-unreachable", `no mock lab answers at ${socketPath}`, { cause });
