/** The two steps of key distillation that cost most: error correction and privacy amplification. */
import { createHash } from "node:crypto";
import { seededWords } from "../../mocks/seeded-random.ts";
import { packBits } from "../../stack/application/qkd/bit-string.ts";
import {
  CascadeCorrector,
  openResponder,
  option7Cascade,
} from "../../stack/application/qkd/cascade.ts";
import {
  compileKeyKernels,
  openToeplitzHasher,
  toeplitzSeedBytes,
} from "../../stack/application/qkd/privacy-amplification.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import { toeplitzHash } from "../peers/javascript/toeplitz.ts";
import { type Contestant, digestCounts, type Race } from "../race.ts";
import { timed } from "../tag-bench.ts";

const inputBits = 100_000;
const outputBits = 50_000;
const blockBits = 40_000;
const qber = 0.01;

function bytesOf(draw: () => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => draw() >>> 24);
}

async function amplificationRace({ clock, cpp }: Laboratory): Promise<Race> {
  const draw = seededWords(41);
  const input = bytesOf(draw, inputBits / 8);
  const seed = bytesOf(draw, toeplitzSeedBytes(inputBits, outputBits));
  const hasher = openToeplitzHasher(compileKeyKernels(), inputBits);
  let output: Uint8Array = new Uint8Array(0);
  const contestant = (peer: string | null, hash: () => Uint8Array): Contestant => {
    const run = (): void => {
      output = hash();
    };
    return { peer, lap: () => timed(clock.monotonicMs, run, () => `${digestCounts(output)}`) };
  };
  const contestants = [
    contestant(null, () => hasher.hash({ input, inputBits, seed, outputBits })),
    contestant("javascript", () => toeplitzHash(input, inputBits, seed, outputBits)),
  ];
  if (cpp !== null) {
    await cpp.load("key/input", input);
    await cpp.load("key/seed", seed);
    contestants.push({ peer: "c++", lap: () => cpp.lap("toeplitz", inputBits, outputBits) });
  }
  return {
    ...{ name: "key/privacy-amplification", unit: "Mbit/s", target: 8, work: inputBits },
    ...{ dataSet: "100 kbit to 50 kbit, random bits and seed", contestants },
  };
}

/** Corrects Bob's block and gives it; throws when the two ends cannot agree. */
function correct(alice: Uint8Array, bob: Uint8Array, seed: Uint8Array): Uint8Array {
  const responder = openResponder(alice, seed);
  const corrector = new CascadeCorrector({
    bits: bob.slice(),
    seed,
    qber,
    variant: option7Cascade,
  });
  let answer: Uint8Array | null = null;
  for (;;) {
    const step = corrector.next(answer);
    if (step.type === "done") return corrector.bits;
    if (step.type === "inconsistent") throw new TypeError("Cascade contradicts itself");
    answer = responder.answer(step.question);
  }
}

function cascadeRace({ clock }: Laboratory): Race {
  const draw = seededWords(42);
  const alice = Uint8Array.from({ length: blockBits }, () => draw() >>> 31);
  const bob = alice.map((bit) => (draw() < qber * 2 ** 32 ? bit ^ 1 : bit));
  const seed = bytesOf(draw, 32);
  const digest = (bits: Uint8Array): string =>
    createHash("sha256").update(packBits(bits)).digest("hex");
  let corrected: Uint8Array = bob;
  const run = (): void => {
    corrected = correct(alice, bob, seed);
  };
  const lap = () => timed(clock.monotonicMs, run, () => digest(corrected));
  return {
    ...{ name: "key/cascade", unit: "kbit/s", target: null, work: blockBits },
    ...{ dataSet: "40 kbit at 1 % errors, both ends' work, no network", expected: digest(alice) },
    contestants: [{ peer: null, lap }],
  };
}

/** The key's figures. */
export const keyFigures: readonly Figure[] = [
  {
    name: "key/privacy-amplification",
    about: "Toeplitz hashing of a reconciled block",
    prepare: amplificationRace,
  },
  {
    name: "key/cascade",
    about: "error correction, plain JavaScript itself: it has no peer here",
    prepare: cascadeRace,
  },
];
