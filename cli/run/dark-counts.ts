/** Dark counts: what the detectors tell while the sources are known to be off, taken before they are switched on. */
import { type Clock, sleep } from "../../hal/clock.ts";
import type { Estimate } from "../live-state.ts";
import type { RunSession } from "./station-session.ts";

/** One detector's rate without light from the station's sources: dark counts, and whatever light strays in. */
export interface DarkCountRate {
  readonly node: string;
  readonly detector: string;
  /** With its Poisson uncertainty (k = 1); null when its tagger told too little. */
  readonly rateHz: Estimate | null;
}

/** Every tagger is watched for this long, in live time of its own. */
const liveTimePsMin = 10n ** 12n;
/** A tagger that tells too little by then has no dark count rate. */
const intervalMsMax = 4_000;
const lookEveryMs = 50;

interface Tally {
  readonly counts: Map<number, number>;
  livePs: bigint;
}

/**
 * Counts while the sources are off; begin and end it before `arm`. Ends early, with nothing, when `signal` is aborted.
 */
export async function takeDarkCounts(
  session: RunSession,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<readonly DarkCountRate[]> {
  const tallies = new Map<string, Tally>();
  const keyOf = (node: string, tagger: string): string => `${node}/${tagger}`;
  for (const { settings, instruments } of session.nodes) {
    for (const tagger of instruments.taggers.keys()) {
      tallies.set(keyOf(settings.name, tagger), { counts: new Map(), livePs: 0n });
    }
  }
  const subscription = session.events$.subscribe((event) => {
    if (event.kind !== "rates") return;
    const tally = tallies.get(keyOf(event.node, event.tagger));
    if (tally === undefined) return;
    const { counts, liveTimePs } = event.report.interval;
    tally.livePs += liveTimePs;
    for (const [channel, count] of Object.entries(counts)) {
      tally.counts.set(Number(channel), (tally.counts.get(Number(channel)) ?? 0) + count);
    }
  });
  const isDone = (): boolean =>
    [...tallies.values()].every(({ livePs }) => livePs >= liveTimePsMin);
  const endMs = clock.monotonicMs() + intervalMsMax;
  try {
    while (!isDone() && clock.monotonicMs() < endMs) await sleep(clock, lookEveryMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    return [];
  } finally {
    subscription.unsubscribe();
  }
  return session.nodes.flatMap(({ settings }) =>
    [...settings.detectors.values()].map(({ name, tagger, channel }) => ({
      node: settings.name,
      detector: name,
      rateHz: rateOf(tallies.get(keyOf(settings.name, tagger)), channel),
    })),
  );
}

function rateOf(tally: Tally | undefined, channel: number): Estimate | null {
  if (tally === undefined || tally.livePs < liveTimePsMin) return null;
  const count = tally.counts.get(channel) ?? 0;
  const liveS = Number(tally.livePs) / 1e12;
  // One count is the least that a Poisson count can be uncertain by.
  return { value: count / liveS, uncertainty: Math.sqrt(Math.max(1, count)) / liveS };
}
