/**
 * The physics process: a main program, started by physics-host.ts and spoken to over IPC. It alone owns the photons' joint states; what
 * nodes get to know of them comes through their instruments. It prints nothing, ends with its parent, and does not heed SIGINT while the
 * parent lives: a Ctrl-C reaches the whole group, and the host must still be able to switch instruments off in order.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../hal/clock.ts";
import { messageOf } from "../../hal/errors.ts";
import { type LabPacer, startLabPacer } from "./lab-pacer.ts";
import { type LabServer, listenLab } from "./lab-server.ts";
import { createPhotonLab, type PhotonLab } from "./photon-lab.ts";
import type { FromPhysics, LabCounters, ToPhysics } from "./physics-messages.ts";

/** How often losses are told to the host, at most. */
const tellPeriodMs = 1_000;

interface Running {
  readonly photons: PhotonLab;
  readonly server: LabServer;
  readonly pacer: LabPacer;
}

let running: Running | null = null;
let lossTimer: Disposable | null = null;
let folder: string | null = null;
let isStopping = false;

const tell = (message: FromPhysics): void => {
  if (process.connected) process.send?.(message);
};

async function start({ settings, seed }: ToPhysics & { readonly type: "start" }): Promise<void> {
  try {
    const clock = systemClock;
    const photons = createPhotonLab(settings, seed);
    const { pump, nominalCurrentMa } = settings.source;
    if (pump === undefined) photons.setPumpCurrent(nominalCurrentMa);
    // In this order: should the process pause in between, lab time is late by it, and no click lies in the future.
    const labEpochUtcPs = clock.utcPs();
    const originMs = clock.monotonicMs();
    const server = await listenLab(newSocketPath(), {
      instruments: new Set(Object.keys(settings.instruments)),
      labEpochUtcPs,
      onPumpCurrent: (instrument, pumpCurrentMa) => {
        if (instrument === pump) photons.setPumpCurrent(pumpCurrentMa);
      },
    });
    const pacer = startLabPacer(photons, settings, { clock, originMs }, server.send);
    running = { photons, server, pacer };
    if (isStopping) stop();
    else tell({ type: "ready", socketPath: server.socketPath });
    watchLosses(0);
  } catch (error) {
    tell({ type: "failed", message: messageOf(error) });
    stop();
  }
}

function newSocketPath(): string {
  if (process.platform === "win32") return "tcp:127.0.0.1:0";
  folder = mkdtempSync(join(tmpdir(), "bellwether-lab-"));
  return join(folder, "lab.sock");
}

function counters({ photons, server, pacer }: Running): LabCounters {
  const { blockedByDeadTime, afterpulsesDropped } = photons.counters();
  return {
    skippedPs: pacer.skippedPs.toString(),
    skips: pacer.skips,
    framesDropped: server.framesDropped,
    clicksDropped: server.clicksDropped,
    blockedByDeadTime: blockedByDeadTime.toString(),
    afterpulsesDropped,
  };
}

function watchLosses(toldBefore: number): void {
  if (running === null || isStopping) return;
  const counted = counters(running);
  const losses = counted.skips + counted.framesDropped + counted.afterpulsesDropped;
  if (losses > toldBefore) tell({ type: "counters", request: null, counters: counted });
  lossTimer = systemClock.after(tellPeriodMs, () => watchLosses(losses));
}

/** Lets everything go; with nothing left to wait for, the process then ends by itself. */
function stop(): void {
  isStopping = true;
  running?.pacer.stop();
  running?.server.close();
  lossTimer?.[Symbol.dispose]();
  if (folder !== null) rmSync(folder, { recursive: true, force: true });
  if (process.connected) process.disconnect();
}

process.on("message", (message: ToPhysics) => {
  switch (message.type) {
    case "start":
      void start(message);
      break;
    case "count":
      if (running !== null) {
        tell({ type: "counters", request: message.request, counters: counters(running) });
      }
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
