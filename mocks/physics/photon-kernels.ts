import { compileKernels } from "../../hal/tags/kernel-module.ts";

/** What the kernels of the mock lab export; see their sources for the meaning of each argument. Addresses are byte offsets. */
export interface PhotonKernels {
  readonly randomStateBytes: () => number;
  readonly zigguratTablesBytes: () => number;
  readonly seedRandom: (random: number, seed: bigint) => void;
  readonly fillZigguratTables: (tables: number) => void;
  readonly fillBits: (random: number, out: number, count: number) => void;
  readonly fillExponentials: (random: number, tables: number, out: number, count: number) => void;
  readonly fillNormals: (random: number, tables: number, out: number, count: number) => void;
  readonly receiverBytes: () => number;
  readonly detectorBytes: () => number;
  readonly initReceiver: (
    receiver: number,
    delayPs: bigint,
    detectors: number,
    detectorCount: number,
    darkIntervalPs: number,
    random: number,
    tables: number,
  ) => void;
  readonly setReceiverArrays: (
    receiver: number,
    photonTimes: number,
    photonDetectors: number,
    photonsMax: number,
    afterpulseTimes: number,
    afterpulseDetectors: number,
    afterpulsesMax: number,
    clickTimes: number,
    clickInputs: number,
    clicksMax: number,
  ) => void;
  readonly setDetector: (
    detector: number,
    input: number,
    jitterPsRms: number,
    deadTimePs: bigint,
    afterpulseProbability: number,
    afterpulseDecayPs: number,
    darkShareUpTo: number,
  ) => void;
  readonly clickCount: (receiver: number) => number;
  readonly reachedPs: (receiver: number) => bigint;
  readonly blockedCount: (receiver: number) => bigint;
  readonly afterpulsesDropped: (receiver: number) => number;
  readonly pairSourceBytes: () => number;
  readonly initPairSource: (
    source: number,
    tables: number,
    fates: number,
    receiverA: number,
    receiverB: number,
    marginPs: bigint,
  ) => void;
  readonly setDark: (source: number) => void;
  readonly setPoissonLight: (source: number, intervalPs: number) => void;
  readonly setCellLight: (
    source: number,
    cellPs: number,
    isUniform: number,
    spreadPsRms: number,
    emptyCellsScale: number,
    singleProbability: number,
    ratioA: number,
    ratioB: number,
  ) => void;
  readonly advance: (source: number, toPs: bigint) => number;
  readonly skip: (source: number, toPs: bigint) => void;
  readonly ticksFromTimes: (
    times: number,
    ticks: number,
    count: number,
    driftPpt: bigint,
    offsetPs: bigint,
    tickPs: bigint,
  ) => void;
}

/** Compiles the kernels of the mock lab. */
export const compilePhotonKernels = (): WebAssembly.Module =>
  compileKernels(new URL("./kernels/kernels.wasm", import.meta.url));

/** First address that kernels do not use for constants. */
export const freeAddress = 2 ** 20;

/** Gives out addresses of a kernel memory, one after the other, each a multiple of 64. */
export function createArena(): { take(bytes: number): number; readonly usedBytes: number } {
  let next = freeAddress;
  return {
    take: (bytes) => {
      const address = next;
      next += Math.ceil(bytes / 64) * 64;
      return address;
    },
    get usedBytes() {
      return next;
    },
  };
}

/** Creates a kernel memory of fixed size; pages that are never touched cost nothing. */
export function createKernelMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65_536);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}
