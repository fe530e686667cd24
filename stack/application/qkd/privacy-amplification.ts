import { compileKernels, instantiateKernels } from "../../../hal/tags/kernel-module.ts";

/** The exports of this folder's kernels; kernels/index.ts documents each. */
interface KeyKernels {
  shiftedCopies(seed: number, seedBytes: number, copies: number, stride: number): void;
  selectRows(
    input: number,
    inputBits: number,
    copies: number,
    stride: number,
    zeroRow: number,
    rows: number,
  ): number;
  xorRows(rows: number, count: number, output: number, fromByte: number, toByte: number): void;
}

/**
 * Hashing with a random Toeplitz matrix over GF(2): output bit q is the sum over c of input bit c times seed
 * bit q - c + n - 1, for n input bits. The family is two-universal (collision 2^-l for l output bits) and
 * the seed has n + l - 1 bits (Krawczyk, CRYPTO '94; Mansour, Nisan and Tiwari 1993).
 */
export interface ToeplitzHasher {
  /**
   * Hashes `inputBits` packed bits to `outputBits` packed bits. `seed` has at least
   * `toeplitzSeedBytes(inputBits, outputBits)` bytes. Every copy of the input is overwritten afterwards.
   */
  hash(options: {
    readonly input: Uint8Array;
    readonly inputBits: number;
    readonly seed: Uint8Array;
    readonly outputBits: number;
  }): Uint8Array;
}

/** Gives the bytes of a seed for `inputBits` to `outputBits`: ceil((n + l - 1) / 8). */
export const toeplitzSeedBytes = (inputBits: number, outputBits: number): number =>
  Math.ceil(Math.max(0, inputBits + outputBits - 1) / 8);

/** Input bits above which the direct method, quadratic in the block, stops being interactive. */
export const toeplitzInputBitsMax = 400_000;

const pageBytes = 65_536;
/** Below this address lie the modules' static data. */
const arenaStart = 1 << 20;
const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** Addresses of one hash; all are multiples of 64. */
function layOut(inputBits: number, outputBits: number) {
  const outputBytes = roundUp(Math.ceil(outputBits / 8), 64);
  const inputBytes = roundUp(Math.ceil(inputBits / 8), 64);
  const seedBytes = toeplitzSeedBytes(inputBits, outputBits);
  const stride = roundUp(seedBytes + 1, 64) + outputBytes;
  const seed = arenaStart;
  const input = seed + roundUp(seedBytes + 1, 64);
  const output = input + inputBytes;
  const copies = output + outputBytes;
  const zeroRow = copies + 8 * stride;
  const rows = zeroRow + outputBytes + 64;
  const end = rows + 4 * (inputBits + 8);
  return { outputBytes, seedBytes, stride, seed, input, output, copies, zeroRow, rows, end };
}

/** Compiles the kernels of key distillation; share the module between sessions. */
export const compileKeyKernels = (): WebAssembly.Module =>
  compileKernels(new URL("./kernels/kernels.wasm", import.meta.url));

/**
 * Opens a hasher with a memory of its own, which no other thread or module sees and which is sized for
 * `inputBitsMax` input and as many output bits. The direct method is used at every size: 60 kbit to 25 kbit takes
 * a few milliseconds. A transform-based method for larger blocks would stand beside it behind the same interface.
 */
export function openToeplitzHasher(
  kernels: WebAssembly.Module,
  inputBitsMax: number,
): ToeplitzHasher {
  if (!Number.isInteger(inputBitsMax) || inputBitsMax < 1 || inputBitsMax > toeplitzInputBitsMax) {
    throw new RangeError(
      `inputBitsMax must be an integer from 1 to ${toeplitzInputBitsMax}, not ${inputBitsMax}`,
    );
  }
  const pages = Math.ceil(layOut(inputBitsMax, inputBitsMax).end / pageBytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const kernel = instantiateKernels<KeyKernels>(kernels, memory);

  return {
    hash: ({ input, inputBits, seed, outputBits }) => {
      if (inputBits > inputBitsMax || outputBits > inputBitsMax) {
        throw new RangeError(`the hasher was opened for ${inputBitsMax} bits`);
      }
      const at = layOut(inputBits, outputBits);
      if (seed.length < at.seedBytes || input.length * 8 < inputBits) {
        throw new RangeError("the seed or the input is shorter than its length says");
      }
      bytes.fill(0, arenaStart, at.end);
      bytes.set(seed.subarray(0, at.seedBytes), at.seed);
      bytes.set(input.subarray(0, Math.ceil(inputBits / 8)), at.input);
      kernel.shiftedCopies(at.seed, at.seedBytes, at.copies, at.stride);
      const count = kernel.selectRows(
        at.input,
        inputBits,
        at.copies,
        at.stride,
        at.zeroRow,
        at.rows,
      );
      kernel.xorRows(at.rows, count, at.output, 0, at.outputBytes);
      const output = bytes.slice(at.output, at.output + Math.ceil(outputBits / 8));
      const used = outputBits & 7;
      if (used !== 0) output[output.length - 1] = (output.at(-1) ?? 0) & ((1 << used) - 1);
      bytes.fill(0, arenaStart, at.end);
      return output;
    },
  };
}
