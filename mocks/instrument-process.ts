/**
 * The process of one mock instrument: a main program, started by instrument-host.ts and spoken to over
 * IPC. It ends with its parent. It does not heed SIGINT while the parent lives: a Ctrl-C reaches the
 * whole group, and the host must still be able to switch a mock source off.
 */
import { systemClock } from "../hal/clock.ts";
import { messageOf } from "../hal/errors.ts";
import type { FromInstrument, ToInstrument } from "./instrument-messages.ts";
import type { MockInstrument } from "./instruments/mock-instrument.ts";
import { modelOpener } from "./instruments/models.ts";
import type { MockPort } from "./ports/mock-port.ts";
import { hasPty, openPty } from "./ports/pty.ts";
import { openTcpPort } from "./ports/tcp.ts";

let port: MockPort | null = null;
let instrument: MockInstrument | null = null;

const tell = (message: FromInstrument): void => {
  if (process.connected) process.send?.(message);
};

async function start(message: ToInstrument & { readonly type: "start" }): Promise<void> {
  const { name, settings, labSocketPath, linkPath } = message;
  try {
    const open = modelOpener(settings.model);
    port =
      settings.at === "tcp" || !hasPty()
        ? await openTcpPort()
        : openPty(linkPath === null ? {} : { linkPath });
    instrument = await open({ name, settings, port, labSocketPath, clock: systemClock });
    tell({ type: "ready", url: port.url });
  } catch (error) {
    tell({ type: "failed", message: messageOf(error) });
    stop();
  }
}

/** Lets everything go; with nothing left to wait for, the process then ends by itself. */
function stop(): void {
  instrument?.close();
  port?.close();
  if (process.connected) process.disconnect();
}

process.on("message", (message: ToInstrument) => {
  switch (message.type) {
    case "start":
      void start(message);
      break;
    case "inflict":
      if (message.fault.kind === "crash") throw new Error("crashed on request");
      instrument?.inflict(message.fault);
      break;
    case "count":
      tell({
        type: "counters",
        request: message.request,
        counters: instrument?.counters() ?? {},
      });
      break;
    case "stop":
      stop();
      break;
  }
});
process.on("disconnect", stop);
process.on("SIGINT", () => {
  if (!process.connected) stop();
});
process.on("SIGTERM", stop);
process.on("exit", () => port?.close());
