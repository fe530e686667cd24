import { expect, it } from "vitest";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import { localFromRemote } from "../../../stack/physical/clock-model.ts";
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
