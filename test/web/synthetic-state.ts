import type { Estimate, LinkState, LiveState, NodeState } from "../../cli/live-state.ts";

const startedMs = Date.UTC(2026, 10, 25, 10, 28, 12);
const iso = (ms: number): string => new Date(ms).toISOString();

const estimate = (value: number, uncertainty: number): Estimate => ({ value, uncertainty });
const poisson = (rateHz: number): Estimate => estimate(rateHz, Math.sqrt(rateHz));

/** A station whose numbers change with every step, a quarter of a second each; no chance is involved. */
export function syntheticState(step: number, hostile = ""): LiveState {
  const wobble = (phase: number): number =>
    Math.sin(step / 7 + phase) + 0.4 * Math.sin(step + phase);
  return {
    station: `first-light${hostile}`,
    startedAt: iso(startedMs),
    at: iso(startedMs + step * 250),
    nodes: [node("alice", wobble, 0, hostile), node("bob", wobble, 0.8, hostile)],
    links: [link(step, wobble)],
  };
}

type Wobble = (phase: number) => number;

function node(name: string, wobble: Wobble, phase: number, hostile: string): NodeState {
  const detector = (label: string, channel: number, basis: "z" | "x", outcome: 0 | 1) => ({
    name: label,
    channel,
    basis,
    outcome,
    singlesRateHz: poisson(31_400 + 2_300 * channel + 420 * wobble(phase + channel)),
    darkCountRateHz: poisson(180 + 20 * channel),
  });
  const device = (label: string, driver: string, role: string) => ({
    ...{ name: label, driver, role, port: `mock:${name}-${label}`, since: iso(startedMs + 900) },
    ...{ state: "active" as const, message: null },
  });
  const isBob = name === "bob";
  return {
    name,
    devices: [
      device(`tagger${hostile}`, "s-fifteen/tdc1", "time-tagger"),
      ...(isBob ? [] : [device("source", "s-fifteen/spdc", "pair-source")]),
    ],
    detectors: [
      detector("h", 0, "z", 0),
      detector("v", 1, "z", 1),
      detector("d", 2, "x", 0),
      detector("a", 3, "x", 1),
    ],
    lostTags: isBob ? null : 0,
    losses: isBob
      ? [
          {
            fromPs: "61234000000000",
            toPs: "61239000000000",
            count: null,
            cause: "device-overflow",
          },
        ]
      : [],
  };
}

function link(step: number, wobble: Wobble): LinkState {
  const rateHz = 12_340 + 310 * wobble(0.3) + step;
  const binPs = 250;
  const bins = 120;
  const counts = Array.from({ length: bins }, (_, index) => {
    const timePs = (index - bins / 2 + 0.5) * binPs;
    const peak = (rateHz / 8) * Math.exp(-(timePs ** 2) / (2 * 1_150 ** 2));
    return Math.round(peak + 40 + 9 * Math.sin(index * 2.1 + step));
  });
  return {
    name: "alice-bob",
    ends: ["alice", "bob"],
    channel: { state: "open", since: iso(startedMs + 700), reason: null },
    clock: {
      state: "locked",
      since: iso(startedMs + 3_400),
      offsetPs: String(350_012_345_678 + step * 37),
      driftPpb: 312.4 + 0.2 * wobble(1),
      uncertaintyPs: 15,
    },
    pairs: 41_200 + Math.round(step * rateHz * 0.25),
    coincidenceRateHz: estimate(rateHz, Math.sqrt(rateHz)),
    accidentalRateHz: estimate(151 + 2 * wobble(2), 2.7),
    car: estimate(rateHz / 151, 1.5),
    jitterPsFwhm: estimate(2_710 + 12 * wobble(3), 14),
    lossDb: { first: estimate(2.96, 0.02), second: estimate(3.02, 0.02) },
    histogram: { fromPs: (-bins / 2) * binPs, binPs, counts, windowPs: 5_000 },
    visibility: {
      z: estimate(0.9712 + 0.001 * wobble(0), 0.0021),
      x: estimate(0.9583 + 0.001 * wobble(1), 0.0025),
    },
    qber: estimate(0.0181 + 0.0004 * wobble(2), 0.0009),
    siftedRateHz: rateHz / 2,
    secretRateHz: step < 8 ? null : rateHz / 4.4,
    secretBits: Math.floor(step / 40) * 28_160,
    keys: Array.from({ length: Math.floor(step / 40) }, (_, index) => ({
      keyId: `7f3c9a52-0d1e-4b6f-9c2a-${String(index).padStart(12, "0")}`,
      fingerprint: `b3e1${String(index * 7919).padStart(12, "0")}`,
      bits: 28_160,
      at: iso(startedMs + index * 10_000 + 10_000),
      identical: true,
    })),
    lagMs: { p50: 21, p99: 38 + wobble(4) },
  };
}
