/** Two ends' times with known clocks, for tests: independent of the project's mock physics. */
import type { RandomSource } from "../../../hal/random.ts";

/** One simulated run. Rates in Hz; clocks against true time. */
export interface PairRun {
  readonly durationS: number;
  readonly remoteRateHz: number;
  readonly localRateHz: number;
  readonly coincidenceRateHz: number;
  /** Local minus remote stream time at true time 0. */
  readonly offsetPs: bigint;
  readonly localDriftPpb: number;
  readonly remoteDriftPpb: number;
  readonly jitterPsRms: number;
  readonly tickPs: number;
  /** Remote stream time at true time 0. */
  readonly originPs?: bigint;
  /** Changes of the local drift: from this true time on, add so many ppb. */
  readonly driftStep?: { readonly atS: number; readonly byPpb: number };
}

export interface Detection {
  readonly timePs: bigint;
  /** Index of the pair, -1 for a single. */
  readonly pair: number;
  readonly channel: number;
}

/** Draws both ends' detections, sorted; pairs have the same channel at both ends (as phi+ in one basis). */
export function drawRun(random: RandomSource, run: PairRun) {
  const exponential = (rateHz: number): number => -Math.log(1 - random.uniform()) / rateHz;
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const tick = BigInt(run.tickPs);
  const origin = run.originPs ?? 0n;
  const stamp = (trueS: number, driftPpb: number, offsetPs: bigint): bigint => {
    const step = run.driftStep;
    const extra =
      driftPpb === run.localDriftPpb && step !== undefined && trueS > step.atS
        ? (trueS - step.atS) * step.byPpb * 1e3
        : 0;
    const time =
      origin +
      offsetPs +
      BigInt(Math.round(trueS * 1e12)) +
      BigInt(Math.round(trueS * driftPpb * 1e3 + extra));
    return (time >= 0n ? time / tick : -((-time + tick - 1n) / tick)) * tick;
  };
  const remote: Detection[] = [];
  const local: Detection[] = [];
  const localStamp = (trueS: number): bigint => stamp(trueS, run.localDriftPpb, run.offsetPs);
  const remoteStamp = (trueS: number): bigint => stamp(trueS, run.remoteDriftPpb, 0n);
  let pair = 0;
  for (
    let t = exponential(run.coincidenceRateHz);
    t < run.durationS;
    t += exponential(run.coincidenceRateHz)
  ) {
    const channel = random.below(4);
    remote.push({ timePs: remoteStamp(t + normal() * run.jitterPsRms * 1e-12), pair, channel });
    local.push({ timePs: localStamp(t + normal() * run.jitterPsRms * 1e-12), pair, channel });
    pair++;
  }
  const singles = (rateHz: number, end: Detection[], of: (trueS: number) => bigint): void => {
    for (let t = exponential(rateHz); t < run.durationS; t += exponential(rateHz)) {
      end.push({ timePs: of(t), pair: -1, channel: random.below(4) });
    }
  };
  singles(run.remoteRateHz - run.coincidenceRateHz, remote, remoteStamp);
  singles(run.localRateHz - run.coincidenceRateHz, local, localStamp);
  const byTime = (a: Detection, b: Detection): number =>
    a.timePs < b.timePs ? -1 : a.timePs > b.timePs ? 1 : 0;
  return { remote: remote.sort(byTime), local: local.sort(byTime), pairs: pair };
}

export const timesOf = (detections: readonly Detection[]): BigInt64Array =>
  BigInt64Array.from(detections, ({ timePs }) => timePs);
