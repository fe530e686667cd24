import { fileURLToPath } from "node:url";
import { InvalidArgumentError, Option } from "commander";
import { type Clock, sleep } from "../../hal/clock.ts";
import { LabError, messageOf } from "../../hal/errors.ts";
import { readStation } from "../../hal/station/station-file.ts";
import { type Ps, psPerMs } from "../../hal/units.ts";
import type { ClassicalChannel } from "../../stack/classical/channel.ts";
import { type AddCommand, type CommandContext, positiveTimeArgument } from "../command.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { takeDarkCounts } from "../run/dark-counts.ts";
import { LiveStation } from "../run/live-station.ts";
import { RunReport } from "../run/run-report.ts";
import { openRunSession, type RunSession } from "../run/station-session.ts";
import { startWebServer } from "../web-server.ts";
import { stationContext } from "./station.ts";

interface RunOptions {
  readonly duration?: Ps;
  readonly node?: string;
  readonly mocks?: string;
  readonly pagePort?: number;
  readonly page: boolean;
  readonly peerTimeout: Ps;
  readonly json?: true;
}

const defaultStation = fileURLToPath(
  new URL("../../../stations/first-light.yaml", import.meta.url),
);
const statesPerS = 4;

/** Reads a TCP port. */
function portArgument(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError("a port is a number from 1 to 65535.");
}

/** Adds `run [STATION]`: runs a station's nodes and shows what happens. */
export const addRunCommand: AddCommand = (program, context) => {
  program
    .command("run")
    .description("run the nodes of a station until the duration is over, or Ctrl-C")
    .argument("[station]", "a station file; the mock station first-light by default")
    .option("--duration <time>", "how long, such as 60s", positiveTimeArgument)
    .option("--node <name>", "run this node alone; its peers run elsewhere")
    .option("--mocks <folder>", "use the mock lab that `mocks serve --folder` runs there")
    .option(
      "--page-port <port>",
      "port of the page on the loopback address; a free one by default",
      portArgument,
    )
    .option("--no-page", "serve no page")
    .addOption(
      new Option("--peer-timeout <time>", "end when a peer has not answered for this long")
        .argParser(positiveTimeArgument)
        .default(positiveTimeArgument("30s"), "30s"),
    )
    .option("--json", "one JSON object a line; the last is the summary")
    .action((path: string | undefined, options: RunOptions) =>
      context.run(() => run(path ?? defaultStation, options, context)),
    );
};

async function run(
  path: string,
  options: RunOptions,
  context: CommandContext,
): Promise<ExitCode | undefined> {
  const station = await readStation(path, stationContext());
  if (options.node !== undefined && !station.nodes.has(options.node)) {
    const names = [...station.nodes.keys()].join(", ");
    throw new LabError("command.choose", `${path} has no node ${options.node}; it has ${names}`);
  }
  const session = await openRunSession(station, {
    ...context,
    ...(options.node === undefined ? {} : { only: new Set([options.node]) }),
    ...(options.mocks === undefined ? {} : { mocksFolder: options.mocks }),
  });
  try {
    return await runSession(session, options, context);
  } finally {
    await session.close();
  }
}

async function runSession(
  session: RunSession,
  options: RunOptions,
  context: CommandContext,
): Promise<ExitCode | undefined> {
  const { clock, printer, signal } = context;
  const live = new LiveStation(session, clock);
  const report = new RunReport(session, { printer, clock, isJson: options.json === true });
  session.events$.subscribe((event) => {
    live.take(event);
    report.take(event);
    // No key store yet: a key is shown by its public id and then forgotten.
    if (event.kind === "key" && event.event.type === "key") event.event.secret.wipe();
  });
  sayOpened(session, report);
  const page = options.page
    ? await startWebServer({
        ...{ ...context, state$: live.state$(statesPerS) },
        ...(options.pagePort === undefined ? {} : { port: options.pagePort }),
      })
    : null;
  const ended = new AbortController();
  try {
    if (page !== null) report.say("page", `page ${page.url}`, { url: page.url });
    await Promise.race([
      lightUntilEnd(session, options, { live, report, context, ended: ended.signal }),
      session.failed,
      ...session.channels.all.map((channel) => peerGone(channel, options.peerTimeout, clock)),
    ]);
  } finally {
    ended.abort();
    const wasLit = session.isArmed;
    const dark = await session.darken();
    for (const { name } of dark) {
      report.say("source-off", `${name}: light off, read back`, { name });
    }
    await session.stop().catch((error: unknown) => printer.note(messageOf(error)));
    const isDark = !wasLit || dark.length === session.pumps.length;
    const sources = isDark ? "sources off" : "A SOURCE MAY STILL BE ON";
    report.say("stopped", `${sources}, taggers stopped`, { isDark });
    report.end(live.summary());
    await page?.close();
  }
  return signal.aborted && options.duration !== undefined ? exitCodes.interrupted : undefined;
}

function sayOpened(session: RunSession, report: RunReport): void {
  const { station, lab, nodes } = session;
  const seed = lab.seed === null ? "" : `, mock lab with seed ${lab.seed}`;
  report.say("station", `${station.name} (${station.path})${seed}`, {
    ...{ station: station.name, path: station.path, seed: lab.seed },
  });
  for (const { settings, instruments } of nodes) {
    for (const device of instruments.devices.values()) {
      const port = settings.devices.get(device.name)?.port ?? "";
      const url = lab.resolve(port);
      const { raw } = device.identity;
      report.say("opened", `${settings.name}/${device.name}: ${raw.trim()} at ${url}`, {
        ...{ node: settings.name, device: device.name, driver: device.driver, identity: raw, url },
      });
    }
  }
}

/** Counts in the dark, switches the sources on, and resolves when the time is over, or at Ctrl-C. */
async function lightUntilEnd(
  session: RunSession,
  options: RunOptions,
  run: {
    readonly live: LiveStation;
    readonly report: RunReport;
    readonly context: CommandContext;
    /** Aborted when the run is over for another reason: nothing may be switched on any more. */
    readonly ended: AbortSignal;
  },
): Promise<void> {
  const { live, report, context, ended } = run;
  const { clock } = context;
  const signal = AbortSignal.any([context.signal, ended]);
  if (session.pumps.length > 0) {
    const rates = await takeDarkCounts(session, { clock, signal });
    if (signal.aborted) return;
    live.setDarkCounts(rates);
    report.sayDarkCounts(rates);
    await Promise.race([session.arm(), aborted(signal)]);
    if (signal.aborted) return;
    for (const { source, currentMa } of session.pumps) {
      const { name } = source;
      report.say("source-on", `${name}: light on, pump at ${currentMa} mA`, { name, currentMa });
    }
  }
  await waitForEnd(options, { clock, signal });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });

/** Resolves when the time is over, or at Ctrl-C. */
async function waitForEnd(
  { duration }: RunOptions,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const endMs =
    duration === undefined
      ? Number.POSITIVE_INFINITY
      : clock.monotonicMs() + Number(duration / psPerMs);
  // Timers of the runtime hold at most 24 days: long waits are taken in hours.
  while (clock.monotonicMs() < endMs && !signal.aborted) {
    await sleep(clock, Math.min(endMs - clock.monotonicMs(), 3_600_000), signal).catch(() => {});
  }
}

/** Rejects once the peer has been away for the timeout, or the channel is closed for good. */
function peerGone(channel: ClassicalChannel, timeout: Ps, clock: Clock): Promise<never> {
  const timeoutMs = Number(timeout / psPerMs);
  const { local, peer } = channel;
  return new Promise((_resolve, reject) => {
    let timer: Disposable | undefined;
    let lastReason = "";
    channel.state$.subscribe(({ state, reason = "nothing has answered yet" }) => {
      lastReason = reason;
      // Every new attempt is told as connecting again: the time counts from the first.
      if (state === "connecting" && timer !== undefined) return;
      timer?.[Symbol.dispose]();
      timer = undefined;
      if (state === "closed" && reason !== undefined) {
        reject(
          new LabError(
            "channel.closed",
            `the channel from ${local} to ${peer} is closed: ${reason}`,
          ),
        );
      }
      if (state !== "connecting") return;
      timer = clock.after(timeoutMs, () =>
        reject(
          new LabError(
            "channel.no-answer",
            `${peer} has not answered ${local} for ${timeoutMs / 1e3} s: ${lastReason}; check that the other node runs and that the address is right`,
          ),
        ),
      );
    });
  });
}
