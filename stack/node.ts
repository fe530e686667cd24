/**
 * One node: its time taggers and the layers above them, started and stopped in order. Instruments come in
 * opened, channels come in connected; who opens and connects them is outside the stack. Light is not the
 * node's business: sources are armed by whoever runs the station, after the node and before it stops.
 */
import { type Observable, Subject, type Subscription } from "rxjs";
import type { Clock } from "../hal/clock.ts";
import { isLabError, LabError, messageOf } from "../hal/errors.ts";
import type { Logger } from "../hal/log.ts";
import type { RandomSource } from "../hal/random.ts";
import type { TimeTagger } from "../hal/roles/time-tagger.ts";
import { analyse } from "../hal/tags/analysis.ts";
import type { AnalysisReport } from "../hal/tags/measurements.ts";
import type { TagMemory } from "../hal/tags/tag-memory.ts";
import type { TagStream } from "../hal/tags/tag-stream.ts";
import type { KeyEvent } from "./application/qkd/key-events.ts";
import { keyMessageSchema } from "./application/qkd/key-messages.ts";
import { type KeySession, openKeySession } from "./application/qkd/key-session.ts";
import type { KeySettings } from "./application/qkd/key-settings.ts";
import { compileKeyKernels } from "./application/qkd/privacy-amplification.ts";
import type { ClassicalChannel } from "./classical/channel.ts";
import { messagePortOpener } from "./classical/message-port.ts";
import type { LinkEvent } from "./link/link-event.ts";
import type { PairRecords } from "./link/pair-records.ts";
import {
  openPhotonicLink,
  type PhotonicLink,
  type PhotonicLinkSettings,
} from "./link/photonic-link.ts";
import type { DetectorWiring } from "./physical/detector-wiring.ts";

/** One end of a link at this node. */
export interface NodeLink {
  readonly name: string;
  readonly peer: string;
  readonly role: "announcer" | "matcher";
  /** Name of the time tagger whose detectors see the link's photons. */
  readonly tagger: string;
  readonly wiring: DetectorWiring;
  readonly channel: ClassicalChannel;
  readonly settings: PhotonicLinkSettings;
  /** Distils keys from the link's pairs; null delivers pairs alone. */
  readonly key: KeySettings | null;
}

/** What a node is made of. */
export interface NodeOptions {
  readonly name: string;
  readonly taggers: ReadonlyMap<string, TimeTagger>;
  readonly links: readonly NodeLink[];
  readonly memory: TagMemory;
  readonly tagKernels: WebAssembly.Module;
  readonly clock: Clock;
  /** The operating system's generator, except in simulations. */
  readonly random: RandomSource;
  readonly logger: Logger;
}

/** What happens at a node. Key events carry the key in `secret` alone, which never prints. */
export type NodeEvent =
  | { readonly kind: "rates"; readonly tagger: string; readonly report: AnalysisReport }
  /** The stream is over: null when it was stopped, else why it broke. */
  | { readonly kind: "tagger-ended"; readonly tagger: string; readonly error: LabError | null }
  | { readonly kind: "link"; readonly link: string; readonly event: LinkEvent }
  | { readonly kind: "pairs"; readonly link: string; readonly records: PairRecords }
  | { readonly kind: "key"; readonly link: string; readonly event: KeyEvent };

/** A node that runs. */
export interface RunningNode {
  readonly name: string;
  readonly streams: ReadonlyMap<string, TagStream>;
  /** Hot; subscribe in the turn in which the node was started. Completes when it has stopped. */
  readonly events$: Observable<NodeEvent>;
  readonly links: ReadonlyMap<string, PhotonicLink>;
  /** Stops taggers first, so that their last tags pass through, then keys and links. Idempotent. */
  stop(): Promise<void>;
}

const reportEveryMs = 250;

/**
 * Starts a node: taggers, then links, then key sessions. What was started is stopped again when a step fails.
 * @throws LabError `device.*`, `link.*`, `physical.wiring`, `pairs.settings`, `tags.memory`.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const node = new Node(options);
  try {
    await node.start();
  } catch (error) {
    await node.stop();
    throw error;
  }
  return node;
}

class Node implements RunningNode {
  readonly name: string;
  readonly streams = new Map<string, TagStream>();
  readonly links = new Map<string, PhotonicLink>();
  readonly #options: NodeOptions;
  readonly #events = new Subject<NodeEvent>();
  readonly #sessions: KeySession[] = [];
  readonly #subscriptions: Subscription[] = [];
  #stopping: Promise<void> | undefined;

  constructor(options: NodeOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get events$(): Observable<NodeEvent> {
    return this.#events.asObservable();
  }

  async start(): Promise<void> {
    for (const [name, tagger] of this.#options.taggers) {
      const stream = await tagger.startTagging();
      this.streams.set(name, stream);
      this.#watch(name, stream);
    }
    const needsKeys = this.#options.links.some(({ key }) => key !== null);
    const keyKernels = needsKeys ? compileKeyKernels() : null;
    for (const link of this.#options.links) this.#openLink(link, keyKernels);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { taggers, logger } = this.#options;
    const stopped = [...taggers.values()].map((tagger) => tagger.stopTagging());
    for (const outcome of await Promise.allSettled(stopped)) {
      if (outcome.status === "rejected") {
        // Its stream ended with the same reason, which the event of its end has told.
        logger.info({ reason: messageOf(outcome.reason) }, "a tagger did not stop in order");
      }
    }
    for (const session of this.#sessions.splice(0)) session.close();
    await Promise.all([...this.links.values()].map((link) => link.close()));
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
    this.#events.complete();
  }

  #watch(tagger: string, stream: TagStream): void {
    const { memory, tagKernels } = this.#options;
    const rates$ = analyse(stream, [{ kind: "rates" }], {
      ...{ memory, kernels: tagKernels, reportEveryMs, holder: `rates of ${tagger}` },
    });
    this.#subscriptions.push(
      rates$.subscribe({
        next: (report) => this.#events.next({ kind: "rates", tagger, report }),
        error: (error) => this.#noteEnd(tagger, error),
        complete: () => this.#noteEnd(tagger, null),
      }),
    );
  }

  #noteEnd(tagger: string, error: unknown): void {
    const reason =
      error === null || isLabError(error)
        ? error
        : new LabError("tags.analysis", `the rates of ${tagger} stopped: ${messageOf(error)}`, {
            cause: error,
          });
    this.#events.next({ kind: "tagger-ended", tagger, error: reason });
  }

  #openLink(link: NodeLink, keyKernels: WebAssembly.Module | null): void {
    const { memory, clock, random, logger } = this.#options;
    const { name, peer, role, wiring, channel, settings } = link;
    const stream = this.streams.get(link.tagger);
    if (stream === undefined) {
      throw new LabError(
        "physical.wiring",
        `link ${name} takes its photons from ${link.tagger}, which node ${this.name} has not`,
      );
    }
    const opened = openPhotonicLink({
      ...{ link: name, local: this.name, peer, role, stream, wiring, channel, settings },
      ...{ memory, clock, random, logger },
    });
    this.links.set(name, opened);
    const kernels = link.key === null ? null : keyKernels;
    this.#subscriptions.push(
      opened.events$.subscribe((event) => this.#events.next({ kind: "link", link: name, event })),
      opened.records$.subscribe((records) =>
        this.#events.next({ kind: "pairs", link: name, records }),
      ),
    );
    if (link.key !== null && kernels !== null) this.#openKeys(link, link.key, opened, kernels);
  }

  #openKeys(
    { name, role, channel }: NodeLink,
    settings: KeySettings,
    link: PhotonicLink,
    kernels: WebAssembly.Module,
  ): void {
    const { clock, random, logger } = this.#options;
    const session = openKeySession({
      port: messagePortOpener(logger)(channel, `key/${name}`, keyMessageSchema),
      records$: link.records$,
      end: role === "announcer" ? "alice" : "bob",
      ...{ settings, clock, random, logger, kernels },
    });
    this.#sessions.push(session);
    this.#subscriptions.push(
      session.events$.subscribe((event) => this.#events.next({ kind: "key", link: name, event })),
    );
  }
}
