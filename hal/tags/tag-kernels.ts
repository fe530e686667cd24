/** The kernels of this folder as TypeScript sees them: what each does is said where it is written, in kernels/. */
import { compileKernels, instantiateKernels } from "./kernel-module.ts";

/** Exports of kernels/index.ts. Addresses, counts and channels are numbers, picoseconds and sums are bigints. */
export interface TagKernels {
  decodeHydraHarpT2: RecordDecoder;
  decodePicoHarpT2: RecordDecoder;
  decodeTdc1Words: RecordDecoder;
  decodeA1Events: RecordDecoder;
  findTdc1Slip(
    words: number,
    count: number,
    previous: number,
    stepTicksMax: number,
    rolloversMax: number,
  ): number;
  countChannels(channels: number, count: number, channelLimit: number, counts: number): void;
  countChannelsInBins(
    state: number,
    times: number,
    channels: number,
    count: number,
    binPs: bigint,
    channelLimit: number,
    counts: number,
    binsMax: number,
  ): number;
  splitChannels(table: number, times: number, channels: number, count: number): void;
  lowerBound(column: number, count: number, time: bigint): number;
  countPairs(
    starts: number,
    startCount: number,
    stops: number,
    stopCount: number,
    lowPs: bigint,
    highPs: bigint,
  ): bigint;
  binPairs(
    starts: number,
    startCount: number,
    stops: number,
    stopCount: number,
    lowPs: bigint,
    spanPs: bigint,
    binPs: bigint,
    magic: bigint,
    shift: number,
    bins: number,
  ): void;
  countDisplacedWindows(
    starts: number,
    startCount: number,
    stops: number,
    stopCount: number,
    lowPs: bigint,
    spanPs: bigint,
    spacingPs: bigint,
    widthPs: bigint,
    magic: bigint,
    shift: number,
    counters: number,
  ): void;
  findDisorder(times: number, count: number, previousPs: bigint): number;
  sortNearlySorted(times: number, channels: number, count: number, sorted: number): number;
}

/** Decodes `count` records into the columns and gives the number of tags; its state says how many records it took. */
export type RecordDecoder = (
  state: number,
  records: number,
  count: number,
  times: number,
  channels: number,
  capacity: number,
) => number;

/** Compiles the tag kernels; do it once a process and post the module to workers. */
export const compileTagKernels = (): WebAssembly.Module =>
  compileKernels(new URL("./kernels/kernels.wasm", import.meta.url));

/** Instantiates the tag kernels on a tag memory, in any thread. */
export const instantiateTagKernels = (
  kernels: WebAssembly.Module,
  memory: WebAssembly.Memory,
): TagKernels => instantiateKernels<TagKernels>(kernels, memory);

/** How a kernel divides by a constant without dividing. */
export interface Reciprocal {
  /** 0 when no exact one exists for this span: the kernel then divides. */
  readonly magic: bigint;
  readonly shift: number;
}

/**
 * Gives the reciprocal of `divisor` that is exact for every dividend in [0, span): the smallest shift with
 * 2^shift >= span * divisor (Granlund and Montgomery 1994), when span * magic fits 64 bits.
 */
export function exactReciprocal(divisor: bigint, span: bigint): Reciprocal {
  const shift = (span * divisor - 1n).toString(2).length;
  const magic = (2n ** BigInt(shift) + divisor - 1n) / divisor;
  return shift > 63 || magic * span >= 2n ** 64n ? { magic: 0n, shift: 0 } : { magic, shift };
}
