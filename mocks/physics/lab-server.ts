/** The physics process's side of the lab socket: who is connected, what they drive, what they are sent. */
import { createServer, type Socket } from "node:net";
import { LabError, messageOf } from "../../hal/errors.ts";
import type { Ps } from "../../hal/units.ts";
import {
  createLabFrameDecoder,
  encodeLabFrame,
  type LabClicks,
  type LabFrame,
  labSocketAddress,
} from "../lab-socket.ts";

/** Bytes that may wait for one instrument; beyond it frames to it are dropped. A second of 450,000 clicks. */
const backlogBytesMax = 2 ** 22;
const connectionsMax = 256;

/** The server of a lab socket. */
export interface LabServer {
  /** Where it listens: as asked, with the port that the system chose. */
  readonly socketPath: string;
  readonly framesDropped: number;
  readonly clicksDropped: number;
  /** Hands clicks to an instrument. Never waits: without a connection they are gone, and a slow reader loses the frame, counted. */
  send(instrument: string, clicks: LabClicks): void;
  /** Ends all connections and stops listening. Idempotent. */
  close(): void;
}

/**
 * Listens at a path or at `tcp:host:port` (port 0 lets the system choose). `onPumpCurrent` is told what an instrument drives, and 0 when it goes away.
 * @throws LabError `mock.lab-unreachable` when the path cannot be listened at.
 */
export function listenLab(
  socketPath: string,
  lab: {
    readonly instruments: ReadonlySet<string>;
    readonly labEpochUtcPs: Ps;
    readonly onPumpCurrent: (instrument: string, pumpCurrentMa: number) => void;
  },
): Promise<LabServer> {
  const connections = new Map<Socket, string | null>();
  const dropped = { frames: 0, clicks: 0 };

  const receive = (socket: Socket, frame: LabFrame): void => {
    const known = connections.get(socket) ?? null;
    if (frame.type === "hello" && known === null && lab.instruments.has(frame.instrument)) {
      connections.set(socket, frame.instrument);
      socket.write(encodeLabFrame({ type: "lab", labEpochUtcPs: lab.labEpochUtcPs }));
    } else if (frame.type === "control" && known !== null) {
      lab.onPumpCurrent(known, frame.pumpCurrentMa);
    } else {
      throw new LabError("mock.lab-frame", `a mock lab expects no ${frame.type} frame now`);
    }
  };
  const accept = (socket: Socket): void => {
    connections.set(socket, null);
    const decoder = createLabFrameDecoder();
    socket.on("data", (bytes) => {
      try {
        decoder.push(bytes, (frame) => receive(socket, frame));
      } catch (error) {
        // A peer that speaks otherwise is no instrument of this lab, and is told so by the end of its connection.
        if (!(error instanceof LabError)) throw error;
        socket.destroy();
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      const instrument = connections.get(socket) ?? null;
      connections.delete(socket);
      const isLast = ![...connections.values()].includes(instrument);
      if (instrument !== null && isLast) lab.onPumpCurrent(instrument, 0);
    });
  };
  const server = createServer({ noDelay: true }, accept);
  server.maxConnections = connectionsMax;

  const labServer = (listeningAt: string): LabServer => ({
    socketPath: listeningAt,
    get framesDropped() {
      return dropped.frames;
    },
    get clicksDropped() {
      return dropped.clicks;
    },
    send: (instrument, clicks) => {
      for (const [socket, name] of connections) {
        if (name !== instrument) continue;
        if (socket.writableLength > backlogBytesMax) {
          dropped.frames++;
          dropped.clicks += clicks.timesPs.length;
        } else {
          socket.write(encodeLabFrame({ type: "clicks", ...clicks }));
        }
      }
    },
    close: () => {
      server.close();
      for (const socket of connections.keys()) socket.destroy();
    },
  });

  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new LabError(
          "mock.lab-unreachable",
          `the mock lab cannot listen at ${socketPath}: ${messageOf(cause)}`,
          { cause },
        ),
      ),
    );
    server.listen(labSocketAddress(socketPath), () => {
      const address = server.address();
      const isTcp = typeof address === "object" && address !== null;
      resolve(labServer(isTcp ? `tcp:${address.address}:${address.port}` : socketPath));
    });
  });
}
