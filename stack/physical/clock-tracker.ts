/**
 * Follows a clock once it is found: a Kalman filter of two states, offset and drift, fed with the mean
 * residual of each batch of pairs, and a test that says when the pairs are gone.
 *
 * Between batches the offset moves by drift x time, and both states diffuse: the offset by white
 * frequency noise, the drift by random-walk frequency noise (the two-state clock model, Zucca and
 * Tavella, IEEE Trans. UFFC 52, 289 (2005)). A first-order loop would lag behind a constant drift.
 */
import type { ClockModel } from "./clock-model.ts";
import { excessNats } from "./significance.ts";

/** How much clocks may wander: quartz in a laboratory, with room to spare. */
export interface ClockNoise {
  /** Offset diffusion, ps per sqrt(s). */
  readonly whiteFrequencyPs: number;
  /** Drift diffusion, ppb per sqrt(s). */
  readonly randomWalkPpb: number;
}

const laboratoryQuartz: ClockNoise = { whiteFrequencyPs: 100, randomWalkPpb: 2 };
/** Pairs gone in every one of so many intervals in a row: the lock is lost. */
const failuresMax = 3;
const intervalS = 0.5;
/** Evidence for pairs that chance gives an interval with a probability of 1e-6. */
const keepNats = Math.log(1e6);

/** The filter and its lock test. */
export class ClockTracker {
  readonly #noise: ClockNoise;
  #referencePs: bigint;
  /** Whole picoseconds and the rest, so that a small correction to a large offset is not rounded away. */
  #offsetPs: bigint;
  #restPs = 0;
  #driftRatio: number;
  /** Covariance matrix of (offset, drift): ps^2, ps x ratio, ratio^2. */
  #p00: number;
  #p01 = 0;
  #p11: number;
  #residualPsRms: number;
  #interval = { liveS: 0, windowCount: 0, chance: 0 };
  #failures = 0;

  constructor(model: ClockModel, residualPsRms: number, noise: ClockNoise = laboratoryQuartz) {
    this.#noise = noise;
    this.#referencePs = model.referencePs;
    this.#offsetPs = model.offsetPs;
    this.#driftRatio = model.driftPpb * 1e-9;
    this.#p00 = model.offsetUncertaintyPs ** 2;
    this.#p11 = (model.driftUncertaintyPpb * 1e-9) ** 2;
    this.#residualPsRms = residualPsRms;
  }

  /** The clock as known now. */
  get model(): ClockModel {
    return {
      referencePs: this.#referencePs,
      offsetPs: this.#offsetPs,
      driftPpb: this.#driftRatio * 1e9,
      offsetUncertaintyPs: Math.sqrt(this.#p00),
      driftUncertaintyPpb: Math.sqrt(this.#p11) * 1e9,
    };
  }

  get residualPsRms(): number {
    return this.#residualPsRms;
  }

  /** Takes the residuals (predicted minus local, ps) of `count` pairs around the remote time `atPs`. */
  update(
    atPs: bigint,
    batch: { readonly count: number; readonly meanPs: number; readonly variancePs: number },
  ): void {
    if (batch.count === 0 || atPs <= this.#referencePs) return;
    this.#predict(atPs);
    const measurement = this.#residualPsRms ** 2 / batch.count;
    const innovation = -batch.meanPs;
    const gain = 1 / (this.#p00 + measurement);
    const gainOffset = this.#p00 * gain;
    const gainDrift = this.#p01 * gain;
    this.#restPs += gainOffset * innovation;
    this.#driftRatio += gainDrift * innovation;
    this.#p11 -= gainDrift * this.#p01;
    this.#p01 *= 1 - gainOffset;
    this.#p00 *= 1 - gainOffset;
    const whole = Math.round(this.#restPs);
    this.#offsetPs += BigInt(whole);
    this.#restPs -= whole;
    if (batch.count > 3) this.#learnWidth(batch.variancePs, batch.count);
  }

  /**
   * Takes what was seen in `liveS` seconds: pairs in the coincidence window, and how many chance gives.
   * Gives false once the pairs have been gone for three intervals of half a second: an interval counts as
   * one without pairs when its excess is within what chance gives in all but one of a million.
   */
  isLocked(liveS: number, windowCount: number, chance: number): boolean {
    const interval = this.#interval;
    interval.liveS += liveS;
    interval.windowCount += windowCount;
    interval.chance += chance;
    if (interval.liveS >= intervalS) {
      const hasPairs = excessNats(interval.windowCount, interval.chance) >= keepNats;
      this.#failures = hasPairs ? 0 : this.#failures + 1;
      this.#interval = { liveS: 0, windowCount: 0, chance: 0 };
    }
    return this.#failures < failuresMax;
  }

  #predict(atPs: bigint): void {
    const elapsedPs = Number(atPs - this.#referencePs);
    const elapsedS = elapsedPs / 1e12;
    const exactPs = this.#driftRatio * elapsedPs;
    this.#offsetPs += BigInt(Math.round(exactPs));
    this.#restPs += exactPs - Math.round(exactPs);
    this.#referencePs = atPs;
    const whitePs = this.#noise.whiteFrequencyPs ** 2 * elapsedS;
    const walk = (this.#noise.randomWalkPpb * 1e-9) ** 2 * elapsedS;
    this.#p00 +=
      2 * elapsedPs * this.#p01 +
      elapsedPs ** 2 * this.#p11 +
      whitePs +
      (walk * elapsedPs ** 2) / 3;
    this.#p01 += elapsedPs * this.#p11 + (walk * elapsedPs) / 2;
    this.#p11 += walk;
  }

  /** The width is averaged over some 10,000 pairs. */
  #learnWidth(variancePs: number, count: number): void {
    const weight = Math.min(0.1, count / 10_000);
    const variance = this.#residualPsRms ** 2;
    this.#residualPsRms = Math.sqrt(variance + weight * (variancePs - variance));
  }
}
