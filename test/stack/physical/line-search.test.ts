import { expect, it } from "vitest";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import { localFromRemote } from "../../../stack/physical/clock-model.ts";
import { searchClock } from "../../../stack/physical/clock-search.ts";
import { refineLine } from "../../../stack/physical/line-search.ts";
import { drawRun, timesOf } from "./pair-generator.ts";

const run = {
  ...{ durationS: 1, remoteRateHz: 1e5, localRateHz: 1e5, coincidenceRateHz: 1e4 },
  ...{ offsetPs: 351_000_000_000n, localDriftPpb: -450, remoteDriftPpb: 300 },
  ...{ jitterPsRms: 40, tickPs: 2000, originPs: 500_000_000_000_000_000n },
};

it.each([2 ** 21, 2 ** 14])(
  "finds the line when %i pairs can be kept, all of them or a part",
  (pairsMax) => {
    const { remote, local } = drawRun(seededRandom(11), run);
    const [remoteTimes, localTimes] = [timesOf(remote), timesOf(local)];
    const [remoteFromPs, remoteToPs] = [run.originPs, run.originPs + 1_000_000_000_000n];
    const request = {
      ...{ remoteTimes, localTimes, remoteFromPs, remoteToPs },
      localFromPs: remoteFromPs + run.offsetPs,
      localToPs: remoteToPs + run.offsetPs,
      ...{ labelOffsetPs: 0n, offsetPsMax: 1_000_000_000_000n, driftPpbMax: 2_000 },
      ...{ falseAlarmProbability: 1e-6, tickPs: run.tickPs },
    };
    const result = refineLine(request, {
      offsetPs: run.offsetPs + 800_000n,
      referencePs: (remoteFromPs + remoteToPs) / 2n,
      driftRatio: 0,
      ...{ offsetErrorPs: 2e6, driftErrorRatio: 2e-6, spanPs: 1e12, pairsMax },
      ...{ coarseNats: 1_000, coarsePairs: 1e4 },
    });
    expect(result.found).toBe(true);
    if (!result.found) return;
    const { driftPpb, driftUncertaintyPpb } = result.model;
    expect(Math.abs(driftPpb + 750)).toBeLessThan(6 * driftUncertaintyPpb + 0.02);
    const trueS = Number(remoteToPs - run.originPs) / (1 + run.remoteDriftPpb * 1e-9);
    const localPs =
      run.originPs + run.offsetPs + BigInt(Math.round(trueS * (1 + run.localDriftPpb * 1e-9)));
    expect(Math.abs(Number(localFromRemote(result.model, remoteToPs) - localPs))).toBeLessThan(500);
    expect(Math.abs(result.coincidenceRateHz / run.coincidenceRateHz - 1)).toBeLessThan(0.2);
  },
);

/** Two ends in the dark for a second, then 30 ms of light that is still dim; sorted times of each, ps. */
function firstLight(seed: number): readonly [remote: number[], local: number[]] {
  const random = seededRandom(seed);
  const arrivals = (rateHz: number, fromPs: number): number[] => {
    const times: number[] = [];
    let nowPs = fromPs;
    while (nowPs < spanPs) {
      times.push(nowPs);
      nowPs -= (1e12 / rateHz) * Math.log1p(-random.uniform());
    }
    return times;
  };
  const drifted = (timePs: number): number => timePs * (1 - 750e-9);
  const pairs = arrivals(2_100, litFromPs);
  const remote = [...arrivals(850, 0), ...arrivals(2_100, litFromPs), ...pairs];
  const local = [...arrivals(850, 0), ...arrivals(2_100, litFromPs), ...pairs].map(drifted);
  return [remote.sort((a, b) => a - b), local.sort((a, b) => a - b)];
}
const spanPs = 1.05e12;
const litFromPs = spanPs - 0.03e12;

it("claims no drift that it cannot know from the first milliseconds of light", () => {
  let found = 0;
  for (let seed = 1; seed <= 24; seed++) {
    const columns = firstLight(seed).map((times) =>
      BigInt64Array.from(times, (timePs) => 2_000n * BigInt(Math.floor(timePs / 2_000))),
    );
    const [remoteTimes = new BigInt64Array(), localTimes = new BigInt64Array()] = columns;
    const [fromPs, toPs] = [0n, BigInt(spanPs)];
    const result = searchClock({
      ...{ remoteTimes, localTimes, remoteFromPs: fromPs, remoteToPs: toPs },
      ...{ localFromPs: fromPs, localToPs: toPs, labelOffsetPs: 0n, tickPs: 2_000 },
      ...{ offsetPsMax: 1_000_000_000_000n, driftPpbMax: 2_000, falseAlarmProbability: 1e-6 },
    });
    if (!result.found) continue;
    found += 1;
    const { driftPpb, driftUncertaintyPpb } = result.model;
    expect(Math.abs(driftPpb + 750), `seed ${seed}`).toBeLessThan(6 * driftUncertaintyPpb);
  }
  expect(found).toBeGreaterThan(3);
});
