/** The mock lab's physics: clicks of both ends of a pair source per second of one core. */
import { ps, rmsFromFwhm } from "../../hal/units.ts";
import {
  type LabSettings,
  parseLabSettings,
  type ReceiverSettings,
} from "../../mocks/physics/lab-settings.ts";
import {
  endsOf,
  fatesBytes,
  fibreDelayPs,
  pairFates,
  writeFates,
} from "../../mocks/physics/pair-fates.ts";
import { createPhotonLab, type PhotonLab } from "../../mocks/physics/photon-lab.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import { type EndNumbers, JavascriptLab, type LabNumbers } from "../peers/javascript/physics.ts";
import type { Contestant, Race } from "../race.ts";
import { timed } from "../tag-bench.ts";

/** As the physics process does: clicks are given out every 5 ms. */
const stepPs = 5_000_000_000;
const lapSteps = 40;
const checkSteps = 100;
const halfWindowPs = 500;
/** Numbers of counts are compared within so many standard deviations: 2e-9 for each of 17. */
const sigmasMax = 6;

function hotLab(): LabSettings {
  const detectors = (["z", "z", "x", "x"] as const).map((basis, index) => ({
    ...{ input: index + 1, basis, outcome: index % 2, efficiency: 0.7, darkCountRateHz: 200 },
    ...{ jitterPsFwhm: 60, deadTimePs: 40_000, afterpulseProbability: 0.01 },
  }));
  const instruments = {
    "tagger-a": { model: "bench/tagger" },
    "tagger-b": { model: "bench/tagger" },
  };
  return parseLabSettings({
    source: { emission: "continuous", pairRateHz: 1e7, visibilityZ: 0.985, visibilityX: 0.975 },
    receivers: {
      a: { instrument: "tagger-a", fibre: { lengthKm: 2, insertionLossDb: 1 }, detectors },
      b: { instrument: "tagger-b", fibre: { lengthKm: 5, insertionLossDb: 1 }, detectors },
    },
    instruments,
  });
}

/** The numbers that the peers take: what createPhotonLab hands to its kernels. */
function numbersOf(lab: LabSettings): LabNumbers {
  const fates = pairFates(lab);
  const table = new DataView(new ArrayBuffer(fatesBytes));
  writeFates(fates, table);
  const endNumbersOf = ({ fibre, detectors }: ReceiverSettings): EndNumbers => {
    const darkCountRateHz = detectors.reduce((sum, one) => sum + one.darkCountRateHz, 0);
    return {
      delayPs: Number(fibreDelayPs(fibre.lengthKm)),
      darkIntervalPs: 1e12 / darkCountRateHz,
      detectors: detectors.map((detector, index) => ({
        jitterPsRms: rmsFromFwhm(detector.jitterPsFwhm),
        afterpulseProbability: detector.afterpulseProbability,
        afterpulseDecayPs: detector.afterpulseDecayPs,
        darkShareUpTo: (index + 1) / detectors.length,
        deadTimePs: detector.deadTimePs,
      })),
    };
  };
  const [a, b] = endsOf(lab);
  const { source } = lab;
  const pairRateHz = source.emission === "continuous" ? source.pairRateHz : 0;
  return {
    intervalPs: 1e12 / (fates.seenProbability * pairRateHz),
    marginPs: Math.ceil(10 * rmsFromFwhm(60)) + 2,
    ...{ fates: new Uint8Array(table.buffer), ends: [endNumbersOf(a), endNumbersOf(b)] },
  };
}

/** The same numbers one after the other, in the order in which the C++ peer reads them. */
const numbersInOrder = ({ intervalPs, marginPs, ends }: LabNumbers): Float64Array =>
  Float64Array.from([
    ...[intervalPs, marginPs],
    ...ends.flatMap(({ delayPs, darkIntervalPs, detectors }) => [
      ...[delayPs, darkIntervalPs, detectors.length],
      ...detectors.flatMap((one) => [
        ...[one.jitterPsRms, one.afterpulseProbability, one.afterpulseDecayPs],
        ...[one.darkShareUpTo, one.deadTimePs],
      ]),
    ]),
  ]);

/** Clicks of one step of both ends, relative to the step's beginning. */
interface StepClicks {
  readonly times: readonly [Float64Array, Float64Array];
  readonly inputs: readonly [Uint8Array, Uint8Array];
}

/** Pairs of clicks within half a window of each other, fibres' delays taken off. */
function coincidencesOf([a, b]: StepClicks["times"], shiftPs: number): number {
  let count = 0;
  let low = 0;
  for (const start of a) {
    const centre = start + shiftPs;
    while (low < b.length && (b[low] as number) < centre - halfWindowPs) low++;
    for (let at = low; at < b.length && (b[at] as number) < centre + halfWindowPs; at++) count++;
  }
  return count;
}

/** What a check compares: clicks by input of each end (8 places each), then coincidences. */
function countsOf(steps: Iterable<StepClicks>, shiftPs: number): string {
  const counts = new Uint32Array(17);
  for (const { times, inputs } of steps) {
    for (const input of inputs[0]) counts[input] = (counts[input] as number) + 1;
    for (const input of inputs[1]) counts[8 + input] = (counts[8 + input] as number) + 1;
    counts[16] = (counts[16] as number) + coincidencesOf(times, shiftPs);
  }
  return counts.join(" ");
}

function agrees(ours: string, theirs: string): boolean {
  const b = theirs.split(" ").map(Number);
  const a = ours.split(" ").map(Number);
  return (
    a.length === b.length &&
    a.every((count, at) => {
      const other = b[at] ?? Number.NaN;
      return Math.abs(count - other) <= sigmasMax * Math.sqrt(count + other);
    })
  );
}

function* wasmSteps(lab: PhotonLab, steps: number): Generator<StepClicks> {
  for (let step = 0; step < steps; step++) {
    const fromPs = lab.nowPs;
    const times: [Float64Array, Float64Array] = [new Float64Array(0), new Float64Array(0)];
    const inputs: [Uint8Array, Uint8Array] = [new Uint8Array(0), new Uint8Array(0)];
    lab.advance(ps(fromPs + BigInt(stepPs)), (clicks) => {
      times[clicks.receiver] = Float64Array.from(clicks.timesPs, (time) => Number(time - fromPs));
      inputs[clicks.receiver] = clicks.inputs.slice();
    });
    yield { times, inputs };
  }
}

function* javascriptSteps(lab: JavascriptLab, steps: number): Generator<StepClicks> {
  for (let step = 0; step < steps; step++) {
    lab.advance(lab.nowPs + stepPs);
    const [a, b] = lab.ends;
    yield {
      times: [a.clickTimes.subarray(0, a.clicks), b.clickTimes.subarray(0, b.clicks)],
      inputs: [a.clickInputs.subarray(0, a.clicks), b.clickInputs.subarray(0, b.clicks)],
    };
  }
}

function contestantsOf({ clock }: Laboratory, settings: LabSettings, numbers: LabNumbers) {
  const lab = createPhotonLab(settings, 1);
  lab.setPumpCurrent(settings.source.nominalCurrentMa);
  const javascriptLab = new JavascriptLab(numbers);
  const shiftPs = numbers.ends[1].delayPs - numbers.ends[0].delayPs;
  let clicks = 0;
  const add = ({ timesPs }: { readonly timesPs: BigInt64Array }): void => {
    clicks += timesPs.length;
  };
  const lapWasm = (): void => {
    for (let step = 0; step < lapSteps; step++) lab.advance(ps(lab.nowPs + BigInt(stepPs)), add);
  };
  const lapJavascript = (): void => {
    for (let step = 0; step < lapSteps; step++) {
      javascriptLab.advance(javascriptLab.nowPs + stepPs);
      clicks += javascriptLab.ends[0].clicks + javascriptLab.ends[1].clicks;
    }
  };
  const contestant = (peer: string | null, run: () => void, check: () => string): Contestant => ({
    ...{ peer, check },
    lap: () => {
      clicks = 0;
      return timed(clock.monotonicMs, run, () => `${clicks}`);
    },
  });
  return [
    contestant(null, lapWasm, () => countsOf(wasmSteps(lab, checkSteps), shiftPs)),
    contestant("javascript", lapJavascript, () =>
      countsOf(javascriptSteps(javascriptLab, checkSteps), shiftPs),
    ),
  ];
}

async function physicsRace(laboratory: Laboratory): Promise<Race> {
  const settings = hotLab();
  const numbers = numbersOf(settings);
  const contestants = contestantsOf(laboratory, settings, numbers);
  const { cpp } = laboratory;
  if (cpp !== null) {
    await cpp.load("lab/numbers", numbersInOrder(numbers));
    await cpp.load("lab/fates", numbers.fates);
    contestants.push({
      peer: "c++",
      lap: () => cpp.lap("physics", lapSteps, stepPs),
      check: async () => (await cpp.lap("physics", checkSteps, stepPs, "check")).result,
    });
  }
  // The three labs differ by their statistics alone, a part in a thousand of a lap's clicks.
  const work = Number((await contestants[0]?.lap())?.result);
  return {
    ...{ name: "physics", unit: "Mclicks/s", target: 20, work, contestants, agrees },
    dataSet:
      "10 M pairs/s, 2 + 5 km of fibre, 2 x 4 detectors (70 %, 60 ps, 40 ns dead, 1 % afterpulses), 0.2 s of lab time",
  };
}

/** The mock lab's figure. */
export const physicsFigures: readonly Figure[] = [
  {
    name: "physics",
    about: "clicks of the mock lab: pairs, fibres, detectors",
    prepare: physicsRace,
  },
];
