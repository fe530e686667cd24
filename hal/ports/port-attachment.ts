import { connect, type Socket } from "node:net";
import { type Clock, withDeadline } from "../clock.ts";
import { LabError } from "../errors.ts";
import { acceptance } from "./port-messages.ts";

const attachTimeoutMs = 2_000;

/** The way to one open port of a port host; plain data, may be posted to a worker thread, used once. */
export interface PortAttachment {
  readonly url: string;
  readonly address: string;
  readonly token: string;
}

/**
 * Connects to an open port, from any thread. The socket is paused; its first byte is the instrument's.
 * Closing it makes the instrument safe and closes the port.
 * @throws LabError `link.closed`, `link.timeout`.
 */
export async function attachToPort(attachment: PortAttachment, clock: Clock): Promise<Socket> {
  const { url, address, token } = attachment;
  const socket = connect(address);
  const accepted = new Promise<void>((resolve, reject) => {
    const refuse = (): void =>
      reject(new LabError("link.closed", `${url} was closed before it was used`));
    socket.once("close", refuse);
    socket.once("error", refuse);
    socket.once("readable", () => {
      const first: Buffer | null = socket.read(1);
      if (first?.[0] === acceptance) resolve();
      else refuse();
    });
    socket.write(token);
  });
  try {
    await withDeadline(clock, accepted, attachTimeoutMs);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  socket.pause();
  return socket;
}
