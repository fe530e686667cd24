import { describe, expect, it } from "vitest";
import { ps } from "../../../hal/units.ts";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import type {
  ClockSearchRequest,
  ClockSearchResult,
} from "../../../stack/physical/clock-search.ts";
import { createEngine, type EngineOutput } from "../../../stack/physical/link-engine.ts";
import { fourDetectors } from "./link-bench.ts";

const found: ClockSearchResult = {
  found: true,
  model: {
    ...{ referencePs: 0n, offsetPs: 0n, driftPpb: 0 },
    ...{ offsetUncertaintyPs: 10, driftUncertaintyPpb: 0.1 },
  },
  ...{ residualPsRms: 100, coincidenceRateHz: 1e4, significanceNats: 99, thresholdNats: 30 },
};

/** A matching engine whose searches end when the test says so. */
function openMatcher() {
  const outputs: EngineOutput[] = [];
  const searches: ((result: ClockSearchResult) => void)[] = [];
  const take = createEngine(
    {
      ...{ role: "matcher", wiring: fourDetectors, windowPs: 5_000n, tickPs: 1n },
      ...{ offsetPsMax: 10n ** 12n, driftPpbMax: 2_000, falseAlarmProbability: 1e-6 },
    },
    {
      random: seededRandom(1),
      read: () => ({ times: BigInt64Array.of(1n), channels: Uint8Array.of(0) }),
      emit: (output) => outputs.push(output),
      search: (_request: ClockSearchRequest, ended) => searches.push(ended),
    },
  );
  take({ kind: "open", session: 1, remote: { labelOffsetPs: 0n, tickPs: 1n } });
  let sequence = 0;
  const block = (segment: number, fromPs: bigint, toPs: bigint): void => {
    const facts = {
      segment,
      fromPs: ps(fromPs),
      toPs: ps(toPs),
      count: 1,
      losses: [],
      sequence: sequence++,
    };
    const descriptor = { ...facts, slot: 0, generation: 0, clockId: "local", streamId: "bob" };
    take({ kind: "block", session: 1, block: descriptor, losses: [], mayAnnounce: true });
  };
  let announced = 0n;
  const announce = (fromPs: bigint, toPs: bigint): void => {
    const columns = { count: 0, times: new Uint8Array(0), bases: new Uint8Array(0), losses: [] };
    const range = { segment: 0, fromPs, toPs, basePs: fromPs, unitPs: 1n };
    take({ kind: "announcement", session: 1, body: { block: announced++, ...range, ...columns } });
  };
  const effects = (): string[] =>
    outputs.flatMap((output) => (output.kind === "effect" ? [output.effect.kind] : []));
  return { block, announce, searches, effects };
}

describe("a matching engine", () => {
  it("takes what its search finds", () => {
    const { block, announce, searches, effects } = openMatcher();
    announce(0n, 1_200_000_000_000n);
    block(0, 0n, 1_200_000_000_000n);
    expect(searches).toHaveLength(1);
    searches[0]?.(found);
    expect(effects()).toContain("locked");
  });

  it("ignores a search whose stream began anew while it ran, before another search begins", () => {
    const { block, announce, searches, effects } = openMatcher();
    announce(0n, 1_200_000_000_000n);
    block(0, 0n, 1_200_000_000_000n);
    expect(searches).toHaveLength(1);
    block(1, 1_300_000_000_000n, 1_310_000_000_000n);
    searches[0]?.(found);
    expect(effects()).not.toContain("locked");
  });
});
