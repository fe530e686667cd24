/** A private WebAssembly memory with the physical layer's kernels on it. */
import { LabError } from "../../hal/errors.ts";
import { compileKernels, instantiateKernels } from "../../hal/tags/kernel-module.ts";

type Address = number;

/** The clock model as kernels take it: offset, drift as a ratio, reference; see clock-model.ts. */
type ModelArguments = [offset: bigint, driftRatio: number, reference: bigint];

/** The functions of stack/physical/kernels; their own comments say what each does. */
export interface PhysicalKernels {
  collectClicks: (
    ...a: [
      ...tags: [times: Address, channels: Address, count: number],
      ...wiring: [delays: Address, codes: Address],
      ...pending: [times: Address, masks: Address, count: number],
    ]
  ) => number;
  resolveClicks: (
    ...a: [
      ...pending: [times: Address, masks: Address, count: number],
      ...rule: [horizon: bigint, window: bigint],
      ...events: [times: Address, masks: Address, ambiguous: Address, result: Address],
    ]
  ) => void;
  encodeTimes: (
    ...a: [times: Address, count: number, base: bigint, unit: bigint, bytes: Address]
  ) => number;
  decodeTimes: (
    ...a: [
      ...wire: [bytes: Address, byteCount: number, count: number],
      ...range: [base: bigint, end: bigint, unit: bigint],
      times: Address,
    ]
  ) => number;
  packBits: (values: Address, count: number, bytes: Address) => void;
  unpackBits: (bytes: Address, count: number, values: Address) => void;
  matchEvents: (
    ...a: [
      ...remote: [times: Address, count: number],
      ...local: [times: Address, first: number, count: number],
      ...model: ModelArguments,
      ...window: [below: bigint, above: bigint],
      ...pairs: [remoteIndices: Address, localIndices: Address, residuals: Address],
    ]
  ) => number;
  countDifferences: (
    ...a: [
      ...lists: [remote: Address, remoteCount: number, local: Address, localCount: number],
      ...model: ModelArguments,
      range: bigint,
    ]
  ) => number;
  collectDifferences: (
    ...a: [
      ...lists: [remote: Address, remoteCount: number, local: Address, localCount: number],
      ...model: ModelArguments,
      range: bigint,
      ...pairs: [residuals: Address, elapsed: Address, room: number],
    ]
  ) => number;
  binTimes: (
    ...a: [
      ...list: [
        times: Address,
        count: number,
        origin: bigint,
        reference: bigint,
        driftRatio: number,
      ],
      ...bins: [binPs: number, span: number, bins: Address, binCount: number],
      ...counts: [chunkBins: number, chunks: Address],
    ]
  ) => number;
  chancePairs: (
    ...a: [
      ...local: [chunks: Address, count: number],
      ...remote: [chunks: Address, count: number],
      chunkBins: number,
      expected: Address,
    ]
  ) => void;
  findPeak: (
    ...a: [
      ...correlation: [bins: Address, binCount: number, lagFrom: number, lagTo: number],
      ...spans: [local: number, remote: number, overlapMin: number],
      ...chance: [expected: Address, chunkBins: number, remoteChunks: number, expectedMin: number],
      result: Address,
    ]
  ) => void;
  lineHistogram: (
    ...a: [
      ...pairs: [residuals: Address, elapsed: Address, count: number, driftRatio: number],
      ...bins: [from: number, binPs: number, bins: Address, binCount: number],
      result: Address,
    ]
  ) => void;
  fillTwiddles: (points: number, cosines: Address, sines: Address, fine: Address) => void;
  transform: (
    ...a: [
      points: number,
      ...arrays: [re: Address, im: Address, workRe: Address, workIm: Address],
      ...twiddles: [cosines: Address, sines: Address],
    ]
  ) => number;
  crossSpectrum: (points: number, re: Address, im: Address) => void;
}

const firstAddress = 2 ** 20;
const pageBytes = 2 ** 16;
const kernelsUrl = new URL("./kernels/kernels.wasm", import.meta.url);

/**
 * Memory and kernels of one thread. Addresses are given out once and live as long as the space: who
 * needs other sizes makes another space. Pages cost nothing until they are touched.
 */
export class KernelSpace {
  readonly kernels: PhysicalKernels;
  readonly #buffer: ArrayBufferLike;
  #next = firstAddress;

  /** @throws LabError `physical.memory` when the system gives no such address space. */
  constructor(bytes: number) {
    const memory = reserve(firstAddress + bytes);
    this.#buffer = memory.buffer;
    this.kernels = instantiateKernels<PhysicalKernels>(compileKernels(kernelsUrl), memory);
  }

  /** Gives a zeroed region, aligned to 128 bytes. @throws RangeError when the space is used up. */
  allocate(bytes: number): number {
    const address = this.#next;
    this.#next = Math.ceil((address + bytes) / 128) * 128;
    if (this.#next > this.#buffer.byteLength) {
      throw new RangeError(`no ${bytes} bytes are left in a kernel space`);
    }
    return address;
  }

  int64(address: number, count: number): BigInt64Array {
    return new BigInt64Array(this.#buffer, address, count);
  }

  float64(address: number, count: number): Float64Array {
    return new Float64Array(this.#buffer, address, count);
  }

  float32(address: number, count: number): Float32Array {
    return new Float32Array(this.#buffer, address, count);
  }

  int32(address: number, count: number): Int32Array {
    return new Int32Array(this.#buffer, address, count);
  }

  uint32(address: number, count: number): Uint32Array {
    return new Uint32Array(this.#buffer, address, count);
  }

  bytes(address: number, count: number): Uint8Array {
    return new Uint8Array(this.#buffer, address, count);
  }
}

function reserve(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / pageBytes);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (error) {
    throw memoryRefused(bytes, error);
  }
}

const memoryRefused = (bytes: number, cause: unknown): LabError =>
  new LabError(
    "physical.memory",
    `no ${Math.ceil(bytes / 2 ** 20)} MiB of memory can be had for the clock search and matching: raise the limit on address space (ulimit -v)`,
    { details: { bytes }, cause },
  );
