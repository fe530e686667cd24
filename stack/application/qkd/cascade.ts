import { parityOf } from "./bit-string.ts";
import { inversePermutation, publicPermutation } from "./public-permutation.ts";

/**
 * Cascade, interactive error reconciliation: Brassard and Salvail, EUROCRYPT '93, in the variants of Martinez-Mateo,
 * Pacher, Peev, Ciurana and Martin, Quantum Inf. Comput. 15, 453 (2015), arXiv:1407.3257.
 *
 * Alice's block is the reference. Bob asks for parities of ranges of publicly shuffled copies of it, one
 * copy a pass, and corrects his. In each pass the ranges whose parity he knows tile the block; a range
 * whose parity differs holds an odd number of errors and is halved until the error is found. Every
 * correction flips the ranges that hold the bit in all passes, which sets off the cascade. Keeping the
 * halves of finished searches as ranges of their own is the paper's sub-block reuse.
 *
 * One question is one message: all searches of a round go together, over ranges that share no bit, so that no error
 * is looked for twice. The answer holds one bit a range, and each is leakage. What
 * Bob can infer (the other half, the last block of every pass but the first) he does not ask.
 */
export interface CascadeVariant {
  readonly name: string;
  /** Gives the block length of each pass, for an error rate and a block of `n` bits. */
  readonly blockBits: (qber: number, n: number) => readonly number[];
  readonly reusesSubBlocks: boolean;
}

const repeated = (value: number, times: number): number[] =>
  Array.from({ length: times }, () => value);

/** The protocol of 1993 as the paper writes it: k1 = 0.73/Q, doubled in each of 4 passes. */
export const originalCascade: CascadeVariant = {
  name: "original",
  blockBits: (qber) => [1, 2, 4, 8].map((factor) => factor * Math.ceil(0.73 / qber)),
  reusesSubBlocks: false,
};

/** The paper's opt. (3): k1 = 1/Q, k2 = 2 k1, then 14 passes of n/2. */
export const option3Cascade: CascadeVariant = {
  name: "option 3",
  blockBits: (qber, n) => {
    const first = Math.ceil(1 / qber);
    return [first, 2 * first, ...repeated(Math.ceil(n / 2), 14)];
  },
  reusesSubBlocks: false,
};

/** The paper's opt. (7): k1 = 2^ceil(log2(1/Q)), k2 = 4 k1, then 12 passes of n/2, with sub-block reuse. */
export const option7Cascade: CascadeVariant = {
  name: "option 7",
  blockBits: (qber, n) => {
    const first = 2 ** Math.ceil(Math.log2(1 / qber));
    return [first, 4 * first, ...repeated(Math.ceil(n / 2), 12)];
  },
  reusesSubBlocks: true,
};

/** The paper's opt. (8), made for n = 2^14: a = log2(1/Q) - 1/2, k = 2^ceil(a), 2^ceil((a + 12)/2), 4096, then 11 passes of n/2, with reuse. */
export const option8Cascade: CascadeVariant = {
  name: "option 8",
  blockBits: (qber, n) => {
    const a = Math.log2(1 / qber) - 0.5;
    return [
      2 ** Math.ceil(a),
      2 ** Math.ceil((a + 12) / 2),
      4096,
      ...repeated(Math.ceil(n / 2), 11),
    ];
  },
  reusesSubBlocks: true,
};

/** Passes that any variant may use; a responder refuses more. */
export const passesMax = 16;

/** Half-open ranges of places in shuffled blocks, as triples: pass, start, end. */
export type ParityQuestion = Uint32Array;

/** The reference end: answers parities of its block, and counts them. */
export interface CascadeResponder {
  /** Parities disclosed so far. */
  readonly leakBits: number;
  /** Answers one question, a byte (0 or 1) a range, or null when it is not a question about this block. */
  answer(question: ParityQuestion): Uint8Array | null;
  /** Overwrites what it derived from the bits: whoever has a pass's parities has the block. */
  wipe(): void;
}

/** Opens the responder for Alice's key bits (one a byte). Each pass costs one shuffle, when it is first asked about. */
export function openResponder(bits: Uint8Array, seed: Uint8Array): CascadeResponder {
  // Parity of the first i places of the shuffled block, so that any range costs two look-ups.
  const prefixes: Uint8Array[] = [];
  const prefixOf = (pass: number): Uint8Array => {
    const known = prefixes[pass];
    if (known !== undefined) return known;
    const order = publicPermutation(seed, pass, bits.length);
    const prefix = new Uint8Array(bits.length + 1);
    for (let i = 0; i < bits.length; i++)
      prefix[i + 1] = (prefix[i] ?? 0) ^ (bits[order[i] ?? 0] ?? 0);
    prefixes[pass] = prefix;
    return prefix;
  };
  const isKnown = (pass: number, start: number, end: number): boolean =>
    pass <= prefixes.length && pass < passesMax && start < end && end <= bits.length;
  let leakBits = 0;
  return {
    get leakBits() {
      return leakBits;
    },
    answer: (question) => {
      if (question.length === 0 || question.length % 3 !== 0) return null;
      const parities = new Uint8Array(question.length / 3);
      for (let i = 0; i < parities.length; i++) {
        const pass = question[3 * i] ?? 0;
        const start = question[3 * i + 1] ?? 0;
        const end = question[3 * i + 2] ?? 0;
        if (!isKnown(pass, start, end)) return null;
        const prefix = prefixOf(pass);
        parities[i] = (prefix[start] ?? 0) ^ (prefix[end] ?? 0);
      }
      leakBits += parities.length;
      return parities;
    },
    wipe: () => {
      for (const prefix of prefixes) prefix.fill(0);
    },
  };
}

/** A range of places whose reference parity is known; halved ranges keep their halves. */
interface Range {
  readonly start: number;
  readonly end: number;
  /** Whether the two ends' parities differ. */
  odd: boolean;
  halves: readonly [Range, Range] | null;
}

interface Pass {
  readonly index: number;
  readonly order: Uint32Array;
  readonly place: Uint32Array;
  readonly blockBits: number;
  readonly blocks: readonly Range[];
  /** The undivided ranges that are odd. */
  readonly odd: Set<Range>;
}

interface PendingQuestion {
  readonly ranges: readonly PassRange[];
  /** Whether whole new blocks were asked for, not first halves. */
  readonly opens: boolean;
}

/** What a corrector wants next. */
export type CascadeStep =
  | { readonly type: "ask"; readonly question: ParityQuestion }
  | { readonly type: "done" }
  /** The answers contradict each other: no honest reference gives them. */
  | { readonly type: "inconsistent" };

const leafAt = (pass: Pass, place: number): Range | undefined => {
  let range = pass.blocks[Math.floor(place / pass.blockBits)];
  while (range?.halves) range = place < range.halves[0].end ? range.halves[0] : range.halves[1];
  return range;
};

/** Gives the undivided ranges inside one. */
function* leavesOf(range: Range): Generator<Range> {
  if (range.halves === null) yield range;
  else for (const half of range.halves) yield* leavesOf(half);
}

/** Tiles the block of pass `index` with ranges, all even until their parities are known. */
function openPass(seed: Uint8Array, index: number, n: number, blockBits: number): Pass {
  const order = publicPermutation(seed, index, n);
  const blocks: Range[] = [];
  for (let start = 0; start < n; start += blockBits) {
    blocks.push({ start, end: Math.min(start + blockBits, n), odd: false, halves: null });
  }
  return { index, order, place: inversePermutation(order), blockBits, blocks, odd: new Set() };
}

/** A range to ask about and the pass it belongs to. */
interface PassRange {
  readonly pass: Pass;
  readonly range: Range;
}

/**
 * Chooses the ranges to halve next: the shortest odd ones first, up to `spanFactor` times the shortest, each only if it
 * shares no bit with one chosen before. So every search of a round is after another error.
 */
function chooseRanges(passes: readonly Pass[], taken: Uint8Array): readonly PassRange[] {
  const odd = passes.flatMap((pass) => [...pass.odd].map((range) => ({ pass, range })));
  odd.sort((one, other) => lengthOf(one.range) - lengthOf(other.range));
  const lengthMax = spanFactor * lengthOf(odd[0]?.range ?? { start: 0, end: 0 });
  taken.fill(0);
  return odd.filter(({ pass, range }) => {
    if (lengthOf(range) > lengthMax) return false;
    const bits = pass.order.subarray(range.start, range.end);
    if (bits.some((bit) => taken[bit] === 1)) return false;
    for (const bit of bits) taken[bit] = 1;
    return true;
  });
}

/** Wider spans save rounds, narrower ones parities; from 64 on neither changes by more than a percent. */
const spanFactor = 64;

const lengthOf = (range: { readonly start: number; readonly end: number }): number =>
  range.end - range.start;

/** Where a range is halved: the first half is the longer one. */
const middleOf = ({ start, end }: Range): number => start + Math.ceil((end - start) / 2);

/** Sets whether a range is odd, in the range and in the pass's list. */
function mark(pass: Pass, range: Range, odd: boolean): void {
  range.odd = odd;
  if (odd) pass.odd.add(range);
  else pass.odd.delete(range);
}

/** Halves an odd range by whether its first half is odd; the second half is odd when the first is not. */
function halve(pass: Pass, range: Range, firstIsOdd: boolean): void {
  const middle = middleOf(range);
  const halves: Range["halves"] = [
    { start: range.start, end: middle, odd: false, halves: null },
    { start: middle, end: range.end, odd: false, halves: null },
  ];
  pass.odd.delete(range);
  range.halves = halves;
  mark(pass, halves[0], firstIsOdd);
  mark(pass, halves[1], !firstIsOdd);
}

/** Makes a block whole again after a search in it has ended: what variants without sub-block reuse do. */
function forgetHalves(pass: Pass, place: number): void {
  const block = pass.blocks[Math.floor(place / pass.blockBits)];
  if (block === undefined || block.halves === null) return;
  let odd = false;
  for (const leaf of leavesOf(block)) {
    odd = odd !== leaf.odd;
    pass.odd.delete(leaf);
  }
  block.halves = null;
  mark(pass, block, odd);
}

/**
 * The correcting end. Deterministic: the same bits, seed and answers give the same questions. Each answer costs work
 * in proportion to the ranges asked for, each new pass one shuffle of the block.
 */
export class CascadeCorrector {
  /** The block, corrected in place (one bit a byte). */
  readonly bits: Uint8Array;
  readonly #seed: Uint8Array;
  readonly #reusesSubBlocks: boolean;
  readonly #blockBits: readonly number[];
  readonly #passes: Pass[] = [];
  readonly #flipped: Uint8Array;
  readonly #taken: Uint8Array;
  #pending: PendingQuestion | null = null;
  #leakBits = 0;
  #corrected = 0;
  #rounds = 0;

  /** Takes Bob's key bits, which it corrects in place; `qber` is the estimate that sizes the blocks. */
  constructor(options: {
    readonly bits: Uint8Array;
    readonly seed: Uint8Array;
    readonly qber: number;
    readonly variant: CascadeVariant;
  }) {
    const { bits, seed, variant } = options;
    this.bits = bits;
    this.#seed = seed;
    this.#reusesSubBlocks = variant.reusesSubBlocks;
    this.#flipped = new Uint8Array(bits.length);
    this.#taken = new Uint8Array(bits.length);
    const qber = Math.min(0.25, Math.max(options.qber, 1 / bits.length));
    const half = Math.ceil(bits.length / 2);
    this.#blockBits = variant.blockBits(qber, bits.length).map((size) => Math.min(size, half));
  }

  /** Parities asked for so far: the leakage. */
  get leakBits(): number {
    return this.#leakBits;
  }

  /** Bits corrected so far. */
  get corrected(): number {
    return this.#corrected;
  }

  /** Questions asked so far. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Takes the answer to the last question (null at the start, then one byte a range) and gives the next step. */
  next(parities: Uint8Array | null): CascadeStep {
    const pending = this.#pending;
    if ((pending === null) !== (parities === null)) {
      throw new TypeError("each question is answered once");
    }
    if (pending !== null && parities !== null) {
      this.#pending = null;
      this.#take(pending, parities);
      if (!this.#correctFound()) return { type: "inconsistent" };
    }
    const chosen = chooseRanges(this.#passes, this.#taken);
    if (chosen.length > 0) return this.#ask(chosen, false);
    return this.#passes.length < this.#blockBits.length ? this.#openPass() : { type: "done" };
  }

  #openPass(): CascadeStep {
    const index = this.#passes.length;
    const n = this.bits.length;
    const pass = openPass(this.#seed, index, n, this.#blockBits[index] ?? n);
    this.#passes.push(pass);
    const ranges = index === 0 ? pass.blocks : pass.blocks.slice(0, -1);
    return this.#ask(
      ranges.map((range) => ({ pass, range })),
      true,
    );
  }

  /** Asks for the parities of whole new blocks, or of the first halves of odd ranges. */
  #ask(ranges: readonly PassRange[], opens: boolean): CascadeStep {
    this.#pending = { ranges, opens };
    this.#leakBits += ranges.length;
    this.#rounds++;
    const question = new Uint32Array(3 * ranges.length);
    for (const [i, { pass, range }] of ranges.entries()) {
      question.set([pass.index, range.start, opens ? range.end : middleOf(range)], 3 * i);
    }
    return { type: "ask", question };
  }

  #take({ ranges, opens }: PendingQuestion, parities: Uint8Array): void {
    for (const [i, { pass, range }] of ranges.entries()) {
      const end = opens ? range.end : middleOf(range);
      const isOdd = parityOf(this.bits, pass.order, { start: range.start, end }) !== parities[i];
      if (opens) mark(pass, range, isOdd);
      else halve(pass, range, isOdd);
    }
    // After the first pass the parity of the whole block is known, hence that of the last part.
    const [first] = this.#passes;
    const newest = this.#passes.at(-1);
    const last = newest?.blocks.at(-1);
    if (!opens || first === undefined || newest === undefined || last === undefined) return;
    if (newest !== first) mark(newest, last, first.odd.size % 2 !== newest.odd.size % 2);
  }

  /** Corrects every error that has been narrowed down to one bit; false when a bit would flip back. */
  #correctFound(): boolean {
    for (let before = -1; before !== this.#corrected; ) {
      before = this.#corrected;
      if (!this.#passes.every((pass) => this.#correctFoundIn(pass))) return false;
    }
    return true;
  }

  #correctFoundIn(pass: Pass): boolean {
    for (const range of pass.odd) {
      if (range.end - range.start !== 1) continue;
      const bit = pass.order[range.start] ?? 0;
      if (this.#flipped[bit] === 1) return false;
      this.#flip(bit);
      if (!this.#reusesSubBlocks) forgetHalves(pass, range.start);
    }
    return true;
  }

  #flip(bit: number): void {
    this.bits[bit] = (this.bits[bit] ?? 0) ^ 1;
    this.#flipped[bit] = 1;
    this.#corrected++;
    for (const pass of this.#passes) {
      const leaf = leafAt(pass, pass.place[bit] ?? 0);
      if (leaf !== undefined) mark(pass, leaf, !leaf.odd);
    }
  }
}
