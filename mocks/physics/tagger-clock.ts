/**
 * The oscillator of a mock instrument: what its time stamps show for true times, in exact integers:
 * floor((t (1 + drift) + offset) / tick). A tick of 1 ps resolves a jitter of 60 ps. A tick of 2 ns does not: the stamp is uniform in its
 * tick, so the difference of two stamps of unrelated phase has variance tick^2 / 6 + jitter (Sheppard), 816 ps rms for the ticks alone, to
 * which two detectors of 60 ps FWHM add 0.1 %, and even two of 200 ps only 1 %.
 */
import { instantiateKernels } from "../../hal/tags/kernel-module.ts";
import type { InstrumentClockSettings } from "./lab-settings.ts";
import {
  compilePhotonKernels,
  createKernelMemory,
  freeAddress,
  type PhotonKernels,
} from "./photon-kernels.ts";

/** Times converted in one go. */
const timesMax = 65_536;

/** An instrument's oscillator. */
export interface TaggerClock {
  /**
   * Gives the clock's count of ticks at each of these lab times (ps), in an array of the caller's or a new one.
   * Throws RangeError when `ticks` is shorter than `timesPs`.
   */
  ticksAt(timesPs: BigInt64Array, ticks?: BigInt64Array): BigInt64Array;
  /** Gives the clock's count of ticks at one lab time. */
  tickAt(timePs: bigint): bigint;
}

/** Creates the oscillator that settings describe. Drift is held to 0.001 ppb. */
export function createTaggerClock(settings: InstrumentClockSettings): TaggerClock {
  const memory = createKernelMemory(freeAddress + 8 * timesMax);
  const kernels = instantiateKernels<PhotonKernels>(compilePhotonKernels(), memory);
  const held = new BigInt64Array(memory.buffer, freeAddress, timesMax);
  const driftPpt = BigInt(Math.round(settings.driftPpb * 1000));
  const offsetPs = BigInt(settings.offsetPs);
  const tickPs = BigInt(settings.tickPs);
  const ticksAt = (timesPs: BigInt64Array, ticks = new BigInt64Array(timesPs.length)) => {
    if (ticks.length < timesPs.length) throw new RangeError("ticks needs a place for every time");
    for (let at = 0; at < timesPs.length; at += timesMax) {
      const part = timesPs.subarray(at, at + timesMax);
      held.set(part);
      kernels.ticksFromTimes(freeAddress, freeAddress, part.length, driftPpt, offsetPs, tickPs);
      ticks.set(held.subarray(0, part.length), at);
    }
    return ticks;
  };
  return { ticksAt, tickAt: (timePs) => ticksAt(BigInt64Array.of(timePs))[0] ?? 0n };
}
