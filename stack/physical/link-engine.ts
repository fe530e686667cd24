/**
 * One end's cores behind messages, so that they run in a worker thread or in place. Each input and output
 * carries the number of its session: what belongs to an ended session is ignored.
 */
import { type LabError, messageOf } from "../../hal/errors.ts";
import type { RandomSource } from "../../hal/random.ts";
import type { TagBlockDescriptor } from "../../hal/tags/tag-stream.ts";
import type { Announcement, LinkLoss, PairColumns, Report } from "./announcement.ts";
import { AnnouncerCore, announcerSpaceBytes } from "./announcer-core.ts";
import type { BlockInput } from "./block-input.ts";
import type { ClockSearchRequest, ClockSearchResult } from "./clock-search.ts";
import type { DetectorWiring } from "./detector-wiring.ts";
import { KernelSpace } from "./kernel-space.ts";
import {
  MatcherCore,
  type MatcherEffect,
  matcherSpaceBytes,
  type RemoteStream,
} from "./matcher-core.ts";

/** Which end, and its settings; plain data that crosses threads. */
export interface EngineSettings {
  readonly role: "announcer" | "matcher";
  readonly wiring: DetectorWiring;
  readonly windowPs: bigint;
  readonly tickPs: bigint;
  readonly offsetPsMax: bigint;
  readonly driftPpbMax: number;
  readonly falseAlarmProbability: number;
}

/** What the link layer asks of an engine. */
export type EngineInput =
  /** A new incarnation; `remote` for a matcher. */
  | { readonly kind: "open"; readonly session: number; readonly remote: RemoteStream | null }
  | {
      readonly kind: "block";
      readonly session: number;
      readonly block: TagBlockDescriptor;
      /** Losses that only this subscriber had. */
      readonly losses: readonly LinkLoss[];
      readonly mayAnnounce: boolean;
    }
  | { readonly kind: "announcement"; readonly session: number; readonly body: Announcement }
  | { readonly kind: "report"; readonly session: number; readonly body: Report };

/** What an engine gives back. */
export type EngineOutput =
  | { readonly kind: "announcement"; readonly session: number; readonly body: Announcement }
  | { readonly kind: "pairs"; readonly session: number; readonly pairs: PairColumns }
  | { readonly kind: "effect"; readonly session: number; readonly effect: MatcherEffect }
  /** What the peer sent was out of order or malformed: the incarnation is over. */
  | { readonly kind: "disorder"; readonly session: number; readonly reason: string }
  /** A report was taken, or a block read and no longer needed. */
  | { readonly kind: "reported"; readonly session: number }
  | { readonly kind: "released"; readonly sequence: number };

/** An engine as the link layer sees it. */
export interface LinkEngine {
  take(input: EngineInput): void;
  close(): Promise<void>;
}

/** Reads a block's columns. */
export type BlockReader = (block: TagBlockDescriptor) => {
  readonly times: BigInt64Array;
  readonly channels: Uint8Array;
};

/** What an engine's host provides. */
export interface EngineHost {
  readonly random: RandomSource;
  readonly read: BlockReader;
  readonly emit: (output: EngineOutput) => void;
  /** Starts a search; `ended` is called later or at once. */
  readonly search: (
    request: ClockSearchRequest,
    ended: (result: ClockSearchResult) => void,
  ) => void;
}

/** Creates the engine of one end in this thread. */
export function createEngine(
  settings: EngineSettings,
  host: EngineHost,
): (input: EngineInput) => void {
  const core = settings.role === "announcer" ? announcer(settings, host) : matcher(settings, host);
  let session = -1;
  return (input) => {
    if (input.kind === "open") {
      session = input.session;
      core(input);
      return;
    }
    try {
      if (input.session === session) core(input);
    } catch (error) {
      // A peer's mistake ends the incarnation; anything else is ours and ends the engine.
      if (!isPeerError(error)) throw error;
      session = -1;
      host.emit({ kind: "disorder", session: input.session, reason: messageOf(error) });
    } finally {
      if (input.kind === "block") host.emit({ kind: "released", sequence: input.block.sequence });
    }
  };
}

const isPeerError = (error: unknown): error is LabError =>
  error instanceof Error && "code" in error && String(error.code).startsWith("pairs.");

const blockInput = (
  input: Extract<EngineInput, { kind: "block" }>,
  read: BlockReader,
): BlockInput => {
  const { segment, fromPs, toPs, losses } = input.block;
  return {
    ...{ segment, fromPs, toPs },
    losses: [...input.losses, ...losses],
    ...read(input.block),
  };
};

function announcer(settings: EngineSettings, host: EngineHost): (input: EngineInput) => void {
  const core = new AnnouncerCore(new KernelSpace(announcerSpaceBytes), {
    ...settings,
    random: host.random,
  });
  return (input) => {
    const { session } = input;
    if (input.kind === "open") core.open();
    else if (input.kind === "block") {
      for (const body of core.addBlock(blockInput(input, host.read), input.mayAnnounce)) {
        host.emit({ kind: "announcement", session, body });
      }
    } else if (input.kind === "report") {
      const pairs = core.takeReport(input.body);
      host.emit({ kind: "reported", session });
      if (pairs !== null) host.emit({ kind: "pairs", session, pairs });
    }
  };
}

function matcher(settings: EngineSettings, host: EngineHost): (input: EngineInput) => void {
  const core = new MatcherCore(new KernelSpace(matcherSpaceBytes), {
    ...settings,
    random: host.random,
  });
  let current = -1;
  let searches = 0;
  const run = (effects: readonly MatcherEffect[]): void => {
    const session = current;
    for (const effect of effects) {
      if (effect.kind !== "search") {
        host.emit({ kind: "effect", session, effect });
        continue;
      }
      const search = ++searches;
      host.search(effect.request, (result) => {
        // A search whose streams are gone says nothing of those that came after.
        const isWanted = session === current && search === searches && core.isSearching;
        if (isWanted) run(core.searchEnded(result));
      });
    }
  };
  return (input) => {
    current = input.session;
    if (input.kind === "open") {
      searches++;
      core.open(input.remote ?? { labelOffsetPs: 0n, tickPs: 1n });
    } else if (input.kind === "block") run(core.addBlock(blockInput(input, host.read)));
    else if (input.kind === "announcement") run(core.addAnnouncement(input.body));
  };
}
