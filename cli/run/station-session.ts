/** A running station: the mock lab if it has one, instruments, channels and nodes, opened and closed in order. */
import { filter, firstValueFrom, from, map, merge, mergeMap, type Observable } from "rxjs";
import type { Clock } from "../../hal/clock.ts";
import { LabError, messageOf } from "../../hal/errors.ts";
import type { Logger } from "../../hal/log.ts";
import type { RandomSource } from "../../hal/random.ts";
import type { PairSource } from "../../hal/roles/pair-source.ts";
import type { Station, StationNode } from "../../hal/station/station-schema.ts";
import { compileTagKernels } from "../../hal/tags/tag-kernels.ts";
import { TagMemory } from "../../hal/tags/tag-memory.ts";
import { type NodeEvent, type RunningNode, startNode } from "../../stack/node.ts";
import { ClosingOrder } from "./closing-order.ts";
import { type NodeInstruments, openInstruments } from "./instruments.ts";
import { openLinkChannels, type StationChannels } from "./link-channels.ts";
import { type MockLab, nodeClock, openMockLab } from "./mock-lab.ts";
import { nodeLinks } from "./node-links.ts";
import { type Pump, PumpLease } from "./pump-lease.ts";

/** Surroundings of a session. */
export interface SessionContext {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
}

/** A node of a running station. */
export interface SessionNode {
  readonly settings: StationNode;
  readonly instruments: NodeInstruments;
  readonly node: RunningNode;
}

/** A running station. */
export interface RunSession {
  readonly station: Station;
  readonly lab: MockLab;
  readonly nodes: readonly SessionNode[];
  readonly channels: StationChannels;
  readonly events$: Observable<NodeEvent & { readonly node: string }>;
  /** Rejects with what makes going on pointless: an instrument, a port host or a part of the mock lab is gone. */
  readonly failed: Promise<never>;
  /** Switches the sources on, and keeps them on while the session lives. @throws LabError `device.*`. */
  arm(): Promise<void>;
  /** From the beginning of `arm` to `darken`. */
  readonly isArmed: boolean;
  /** The sources that `arm` switches on. */
  readonly pumps: readonly Pump[];
  /** Sources off, read back; gives those that were lit and are off now. What could not be switched off is logged. */
  darken(): Promise<readonly PairSource[]>;
  /** Sources off first, then taggers and layers; what they still had to say has then been said. Idempotent. */
  stop(): Promise<void>;
  /** Stops, then lets ports, channels and mocks go. Idempotent. */
  close(): Promise<void>;
}

/** Gives the memory in which a node's tags live: 64 slots a tagger and scratch for its workers. */
export const createNodeMemory = (taggers: number): TagMemory =>
  TagMemory.create({ slots: 64 * Math.max(1, taggers), scratchBytes: 2 ** 28 });

/**
 * Opens a station, all its nodes or those of `only`, with all sources off.
 * @throws LabError `mock.*`, `station.devices`, `channel.*`, `pairs.settings`; what was opened by then is closed again.
 */
export async function openRunSession(
  station: Station,
  options: SessionContext & {
    readonly only?: ReadonlySet<string>;
    readonly mocksFolder?: string;
  },
): Promise<RunSession> {
  const { logger } = options;
  const closing = new ClosingOrder(logger);
  try {
    const lab = await openMockLab(station, options);
    closing.add("mock lab", lab.close);
    const chosen = [...station.nodes.values()].filter(
      ({ name }) => options.only?.has(name) ?? true,
    );
    const channels = await openLinkChannels(station, chosen, options);
    closing.add("channels", channels.close);
    const tagKernels = compileTagKernels();
    const nodes: SessionNode[] = [];
    for (const settings of chosen) {
      const clock = nodeClock(station, settings.name, options.clock);
      const memory = createNodeMemory(settings.devices.size);
      // Not all of the options: what is `only` here means nodes, and devices where instruments are opened.
      const context = { random: options.random, clock, memory, tagKernels };
      const log = logger.child({ node: settings.name });
      const { resolve } = lab;
      const instruments = await openInstruments(settings, { ...context, resolve, logger: log });
      closing.add(`instruments of ${settings.name}`, instruments.close);
      const { taggers } = instruments;
      const links = nodeLinks(station, settings, channels);
      const { name } = settings;
      const node = await startNode({ ...context, name, taggers, links, logger: log });
      closing.add(`node ${settings.name}`, node.stop.bind(node));
      nodes.push({ settings, instruments, node });
    }
    return runningSession(station, { lab, channels, nodes, closing }, options);
  } catch (error) {
    await closing.close();
    throw error;
  }
}

function runningSession(
  station: Station,
  parts: {
    readonly lab: MockLab;
    readonly channels: StationChannels;
    readonly nodes: readonly SessionNode[];
    readonly closing: ClosingOrder;
  },
  { clock, logger }: SessionContext,
): RunSession {
  const { lab, channels, nodes, closing } = parts;
  const lease = new PumpLease({ clock, logger });
  closing.add("sources", async () => {
    await lease.release();
  });
  const events$ = from(nodes).pipe(
    mergeMap(({ settings, node }) =>
      node.events$.pipe(map((event) => ({ ...event, node: settings.name }))),
    ),
  );
  const failures$ = merge(
    lab.failures$.pipe(map((error) => mockFailure(error, nodes))),
    lease.failures$,
    from(nodes).pipe(mergeMap(deviceFailures)),
    from(nodes).pipe(mergeMap(portHostFailures)),
  );
  const failed = firstValueFrom(failures$).then((error) => Promise.reject(error));
  // Whoever runs the session races it; when nobody does, a failure must not end the process unseen.
  failed.catch((error: unknown) => logger.info({ reason: messageOf(error) }, "session failed"));
  const lit = nodes.flatMap(({ settings, instruments }) => pumps(settings, instruments));
  return {
    ...{ station, lab, nodes, channels, events$, failed, pumps: lit },
    arm: () => lease.arm(lit),
    get isArmed() {
      return lease.isArmed;
    },
    darken: () => lease.release(),
    stop: async () => {
      await lease.release();
      await Promise.all(nodes.map(({ node }) => node.stop()));
    },
    close: () => closing.close(),
  };
}

/** The same failure, said with the place where it happened. */
const located = (where: string, error: LabError): LabError =>
  new LabError(error.code, `${where}: ${error.message}`, { details: error.details, cause: error });

const deviceFailures = ({ settings, instruments }: SessionNode): Observable<LabError> =>
  from(instruments.devices.values()).pipe(
    mergeMap((device) =>
      device.state$.pipe(
        map((now) => ("error" in now ? now.error : null)),
        filter((error) => error !== null),
        map((error) => {
          const port = settings.devices.get(device.name)?.port;
          return located(`${settings.name}/${device.name} at ${port}`, error);
        }),
      ),
    ),
  );

const portHostFailures = ({ settings, instruments }: SessionNode): Observable<LabError> =>
  from(instruments.portsClosed).pipe(
    filter((reason) => reason !== undefined),
    map((reason) => located(settings.name, reason)),
  );

/** Names the device behind a mock that ended. */
function mockFailure(error: LabError, nodes: readonly SessionNode[]): LabError {
  const { instrument } = error.details;
  const port = `mock:${String(instrument)}`;
  for (const { settings } of nodes) {
    for (const { name, port: devicePort } of settings.devices.values()) {
      if (devicePort === port) return located(`${settings.name}/${name} at ${port}`, error);
    }
  }
  return error;
}

/** Gives the sources that the station file wants lit, and how brightly. */
export const pumps = (settings: StationNode, { pairSources }: NodeInstruments): readonly Pump[] =>
  [...pairSources].flatMap(([name, source]) => {
    const { currentMa } = settings.devices.get(name)?.settings ?? {};
    return typeof currentMa === "number" && currentMa > 0 ? [{ source, currentMa }] : [];
  });
