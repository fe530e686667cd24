/**
 * The photons of a mock lab: one pair source, two fibres, two sets of detectors, from settings to clicks. It knows lab time only;
 * whoever owns it says how far time goes. The same seed and the same calls give the same clicks.
 */
import { instantiateKernels } from "../../hal/tags/kernel-module.ts";
import { type Ps, ps, rmsFromFwhm } from "../../hal/units.ts";
import type { LabSettings, PairSourceSettings, ReceiverSettings } from "./lab-settings.ts";
import { endsOf, fatesBytes, fibreDelayPs, pairFates, writeFates } from "./pair-fates.ts";
import { cellStatistics } from "./pair-statistics.ts";
import {
  compilePhotonKernels,
  createArena,
  createKernelMemory,
  type PhotonKernels,
} from "./photon-kernels.ts";

/** Photons of one receiver that can be under way: 100 million pairs per second in 1,000 km of fibre are half of it. */
const photonsMax = 2 ** 20;
const afterpulsesMax = 4096;
/** Clicks of one receiver in one portion. */
const clicksMax = 2 ** 17;
/** Detection comes no earlier than by so many standard deviations of jitter: a chance of 1e-23 a photon is neglected. */
const jitterSigmasMax = 10;

/** Clicks of one receiver in [fromPs, toPs) of lab time. */
export interface ReceiverClicks {
  /** 0 for A, 1 for B. */
  readonly receiver: 0 | 1;
  readonly fromPs: Ps;
  readonly toPs: Ps;
  /** Lab ps, ascending. A view of kernel memory, valid until the next call. */
  readonly timesPs: BigInt64Array;
  /** 0-based inputs. A view of kernel memory, valid until the next call. */
  readonly inputs: Uint8Array;
}

/** The photons of a mock lab. */
export interface PhotonLab {
  /** Lab time up to which clicks have been given out. */
  readonly nowPs: Ps;
  /**
   * Lets time run to `toPs` and gives every receiver's clicks up to then, in one or several portions, empty ones too.
   * Statistics do not depend on how time is cut.
   */
  advance(toPs: Ps, receive: (clicks: ReceiverClicks) => void): void;
  /** Leaves out the time up to `toPs`: nothing clicks in it, light in the fibres is lost. */
  leaveOut(toPs: Ps): void;
  /** Sets the pump current; pairs not yet emitted follow it, linearly. It begins at 0: dark. */
  setPumpCurrent(pumpCurrentMa: number): void;
  /** Sums over both receivers, since the start. */
  counters(): { readonly blockedByDeadTime: bigint; readonly afterpulsesDropped: number };
}

/** Creates the photons of a lab at lab time 0, dark. */
export function createPhotonLab(lab: LabSettings, seed: number): PhotonLab {
  const built = buildLab(lab, seed);
  const { kernels, memory, source, receivers } = built;
  const light = { pumpCurrentMa: 0 };
  const reached: [bigint, bigint] = [0n, 0n];

  const giveOut = (receive: (clicks: ReceiverClicks) => void): void => {
    for (const index of [0, 1] as const) {
      const { address, clickTimes, clickInputs } = receivers[index];
      const toPs = kernels.reachedPs(address);
      if (toPs === reached[index]) continue;
      const count = kernels.clickCount(address);
      const fromPs = reached[index];
      reached[index] = toPs;
      receive({
        receiver: index,
        fromPs: ps(fromPs),
        toPs: ps(toPs),
        timesPs: new BigInt64Array(memory.buffer, clickTimes, count),
        inputs: new Uint8Array(memory.buffer, clickInputs, count),
      });
    }
  };
  const setLight = (): void => setLightOf(built, lab.source, light.pumpCurrentMa);

  return {
    get nowPs() {
      return ps(reached[0] < reached[1] ? reached[0] : reached[1]);
    },
    advance: (toPs, receive) => {
      let isComplete = false;
      while (!isComplete) {
        isComplete = kernels.advance(source, toPs) === 1;
        giveOut(receive);
      }
    },
    leaveOut: (toPs) => {
      kernels.skip(source, toPs);
      reached.fill(toPs);
      setLight();
    },
    setPumpCurrent: (pumpCurrentMa) => {
      light.pumpCurrentMa = pumpCurrentMa;
      setLight();
    },
    counters: () => ({
      blockedByDeadTime:
        kernels.blockedCount(receivers[0].address) + kernels.blockedCount(receivers[1].address),
      afterpulsesDropped:
        kernels.afterpulsesDropped(receivers[0].address) +
        kernels.afterpulsesDropped(receivers[1].address),
    }),
  };
}

interface BuiltReceiver {
  readonly address: number;
  readonly clickTimes: number;
  readonly clickInputs: number;
}

interface BuiltLab {
  readonly kernels: PhotonKernels;
  readonly memory: WebAssembly.Memory;
  readonly source: number;
  readonly receivers: readonly [BuiltReceiver, BuiltReceiver];
  readonly seenProbability: number;
}

function buildLab(lab: LabSettings, seed: number): BuiltLab {
  const arena = createArena();
  const memory = createKernelMemory(
    2 ** 20 + 2 * 9 * (photonsMax + clicksMax + afterpulsesMax) + 2 ** 17,
  );
  const kernels = instantiateKernels<PhotonKernels>(compilePhotonKernels(), memory);
  const source = arena.take(kernels.pairSourceBytes());
  const tables = arena.take(kernels.zigguratTablesBytes());
  const fatesAt = arena.take(fatesBytes);
  kernels.seedRandom(source, BigInt(seed));
  kernels.fillZigguratTables(tables);
  const fates = pairFates(lab);
  if (fates.seenProbability > 0)
    writeFates(fates, new DataView(memory.buffer, fatesAt, fatesBytes));
  const ends = endsOf(lab);
  const build = (end: ReceiverSettings) =>
    buildReceiver(kernels, arena.take, end, { source, tables });
  const receivers = [build(ends[0]), build(ends[1])] as const;
  const [a, b] = receivers;
  kernels.initPairSource(source, tables, fatesAt, a.address, b.address, marginPs(lab));
  return { kernels, memory, source, receivers, seenProbability: fates.seenProbability };
}

/** How much earlier than its arrival a photon may be detected. */
function marginPs(lab: LabSettings): bigint {
  const jitterPsFwhm = endsOf(lab).flatMap((end) =>
    end.detectors.map((detector) => detector.jitterPsFwhm),
  );
  const pulsePsFwhm = lab.source.emission === "pulsed" ? lab.source.pulsePsFwhm : 0;
  return BigInt(
    Math.ceil(jitterSigmasMax * rmsFromFwhm(Math.max(...jitterPsFwhm) + pulsePsFwhm)) + 2,
  );
}

function buildReceiver(
  kernels: PhotonKernels,
  take: (bytes: number) => number,
  settings: ReceiverSettings,
  shared: { readonly source: number; readonly tables: number },
): BuiltReceiver {
  const { detectors } = settings;
  const address = take(kernels.receiverBytes());
  const detectorsAt = take(kernels.detectorBytes() * detectors.length);
  const darkCountRateHz = detectors.reduce((sum, detector) => sum + detector.darkCountRateHz, 0);
  let darkUpToHz = 0;
  for (const [index, detector] of detectors.entries()) {
    darkUpToHz += detector.darkCountRateHz;
    kernels.setDetector(
      detectorsAt + index * kernels.detectorBytes(),
      detector.input - 1,
      rmsFromFwhm(detector.jitterPsFwhm),
      BigInt(detector.deadTimePs),
      detector.afterpulseProbability,
      detector.afterpulseDecayPs,
      darkCountRateHz === 0 ? 1 : darkUpToHz / darkCountRateHz,
    );
  }
  const clickTimes = take(8 * clicksMax);
  const clickInputs = take(clicksMax);
  kernels.setReceiverArrays(
    address,
    take(8 * photonsMax),
    take(photonsMax),
    photonsMax,
    take(8 * afterpulsesMax),
    take(afterpulsesMax),
    afterpulsesMax,
    clickTimes,
    clickInputs,
    clicksMax,
  );
  const darkIntervalPs = darkCountRateHz === 0 ? 0 : 1e12 / darkCountRateHz;
  const delayPs = fibreDelayPs(settings.fibre.lengthKm);
  const { source, tables } = shared;
  kernels.initReceiver(
    address,
    delayPs,
    detectorsAt,
    detectors.length,
    darkIntervalPs,
    source,
    tables,
  );
  return { address, clickTimes, clickInputs };
}

function setLightOf(built: BuiltLab, settings: PairSourceSettings, pumpCurrentMa: number): void {
  const { kernels, source, seenProbability } = built;
  const scale = (seenProbability * pumpCurrentMa) / settings.nominalCurrentMa;
  const cellPs = settings.emission === "pulsed" ? settings.pulsePeriodPs : settings.coherenceTimePs;
  const mean =
    scale *
    (settings.emission === "pulsed"
      ? settings.pairsPerPulse
      : (settings.pairRateHz * cellPs) / 1e12);
  if (!(mean > 0)) {
    kernels.setDark(source);
  } else if (settings.emission === "continuous" && settings.statistics === "poisson") {
    kernels.setPoissonLight(source, cellPs / mean);
  } else {
    const law = cellStatistics(mean, settings.statistics === "thermal" ? settings.modes : null);
    kernels.setCellLight(
      source,
      cellPs,
      settings.emission === "continuous" ? 1 : 0,
      settings.emission === "pulsed" ? rmsFromFwhm(settings.pulsePsFwhm) : 0,
      law.emptyCellsScale,
      law.singleProbability,
      law.ratioA,
      law.ratioB,
    );
  }
}
