import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Estimate } from "../../cli/live-state.ts";
import type { RunSummary } from "../../cli/run/live-station.ts";
import {
  cleanUpPrograms,
  leavesNothing,
  type Program,
  type RunEvent,
  start,
  until,
} from "./program.ts";

/** Six standard deviations to both sides: a false alarm in 5e8 checks. */
const sigmas = 6;
const expectNear = (measured: Estimate | null, expected: number, slack = 0): void => {
  const { value, uncertainty } = measured ?? { value: Number.NaN, uncertainty: 0 };
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(sigmas * uncertainty + slack);
};

/** What stations/first-light.yaml says. */
const darkRatesHz: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  alice: { h: 200, v: 250, d: 180, a: 220 },
  bob: { h: 210, v: 190, d: 240, a: 200 },
};
const driftPpb = -450 - 300;
const utcOffsetMs = 350;
/** 2 km at 0.2 dB/km and 1 dB of optics, then the mean efficiency of the four detectors. */
const lossDb = (...efficiencies: number[]): number =>
  1.4 - 10 * Math.log10(efficiencies.reduce((sum, each) => sum + each, 0) / efficiencies.length);

async function runForTwoKeys(): Promise<Program> {
  const program = start("run", "--json", "--verbose");
  await until("two keys", () => program.all("key").length >= 4 || program.ending !== null, 60_000);
  program.kill("SIGINT");
  expect(await program.ended()).toEqual({ exitCode: 130, signal: null });
  return program;
}

function summaryOf(program: Program): RunEvent {
  const last = program.events.at(-1);
  if (last === undefined) throw new Error(program.errors);
  return last;
}

describe("the default station", () => {
  let program: Program;
  let summary: RunEvent;
  let link: RunSummary["links"][number];

  beforeAll(async () => {
    program = await runForTwoKeys();
    summary = summaryOf(program);
    const [only] = summary.links ?? [];
    if (only === undefined) throw new Error("a summary without links");
    link = only;
  }, 90_000);
  afterAll(cleanUpPrograms);

  test("prints one JSON object a line, each with its event and time", () => {
    const { events } = program;
    expect(events.length).toBeGreaterThan(30);
    for (const event of events) expect(typeof event.event).toBe("string");
    expect(events.map(({ seconds }) => seconds)).toEqual(
      [...events.map(({ seconds }) => seconds ?? Number.NaN)].sort((a, b) => a - b),
    );
  });

  test("ends with the summary that scripts rely on", () => {
    expect(summary.event).toBe("summary");
    expect(Object.keys(link)).toEqual(
      expect.arrayContaining([
        ...["pairs", "qber", "visibility", "clockOffsetPs", "clockDriftPpb"],
        ...["secretBits", "keysIdentical"],
      ]),
    );
    expect(summary.nodes?.map(({ name }) => name)).toEqual(["alice", "bob"]);
    // A machine that is held up for half a second loses tags: then, and only then, the summary says where.
    const losses = summary.nodes?.flatMap((node) => node.losses) ?? [];
    expect(summary.lostTags === 0).toBe(losses.length === 0);
  });

  test("takes dark counts before there is light, and they are those of the detectors", () => {
    const kinds = program.events.map(({ event }) => event);
    expect(kinds.indexOf("source-on")).toBeGreaterThan(kinds.lastIndexOf("dark-counts"));
    for (const { node, ratesHz } of program.all("dark-counts")) {
      for (const [detector, rate] of Object.entries(ratesHz ?? {})) {
        expectNear(rate, darkRatesHz[String(node)]?.[detector] ?? Number.NaN);
        expect(rate.uncertainty).toBeLessThan(20);
      }
    }
    expect(program.all("dark-counts")).toHaveLength(2);
  });

  test("finds Bob's clock, wrong by 350 ms and slower by 750 parts in 1e9", () => {
    const [found] = program.all("clock");
    // Anchors come from the hosts' clocks as the first bytes arrive: they are late by what a busy machine makes them wait.
    expect(Math.abs(Number(found?.offsetPs) / 1e9 - utcOffsetMs)).toBeLessThan(200);
    for (const clock of program.all("clock")) {
      expectNear(
        { value: Number(clock.driftPpb), uncertainty: Number(clock.driftUncertaintyPpb) },
        driftPpb,
        0.5,
      );
    }
    expect(Math.abs(Number(link.clockDriftPpb) - driftPpb)).toBeLessThan(1);
  });

  test("counts every pair once, and more than the keys took", () => {
    expect(link.pairs).toBeGreaterThan(200_000);
    expect(link.secretBits).toBeLessThan(link.pairs / 2);
  });

  test("measures the loss of both ways", () => {
    const measured = link.lossDb;
    // Dead time and the tail of the window take less than 0.1 dB.
    expectNear(measured.first, lossDb(0.7, 0.68, 0.72, 0.69), 0.1);
    expectNear(measured.second, lossDb(0.7, 0.71, 0.69, 0.7), 0.1);
  });

  test("measures error rate and visibilities of the state that the source makes", () => {
    const sum = (field: "coincidenceRateHz" | "accidentalRateHz"): number =>
      program.all("coincidences").reduce((all, event) => all + (event[field]?.value ?? 0), 0);
    // Accidentals agree as often as not: they take their share from the visibility.
    const contrast = 1 - sum("accidentalRateHz") / sum("coincidenceRateHz");
    expect(contrast).toBeGreaterThan(0.99);
    expectNear(link.visibilityZ, 0.985 * contrast);
    expectNear(link.visibilityX, 0.975 * contrast);
    const qber = Number(link.qber);
    expectNear(
      { value: qber, uncertainty: Number(link.qberUncertainty) },
      (1 - 0.98 * contrast) / 2,
      // The two bases need not have equal shares.
      1e-4,
    );
  });

  test("delivers the same keys at both ends, and says which they are", () => {
    const keysOf = (node: string): string[] =>
      program
        .all("key")
        .filter((key) => key.node === node)
        .map((key) => `${key.keyId} ${key.fingerprint} ${key.bits}`);
    expect(keysOf("alice").length).toBeGreaterThanOrEqual(1);
    expect(keysOf("bob")).toEqual(keysOf("alice"));
    expect(link.keysIdentical).toBe(true);
    const bits = program
      .all("key")
      .filter(({ node }) => node === "alice")
      .reduce((sum, key) => sum + Number(key.bits), 0);
    expect(link.secretBits).toBe(bits);
  });

  test("lets no key byte out, not even to the most talkative log", () => {
    const known = new Set(program.all("key").flatMap((key) => [key.keyId, key.fingerprint]));
    const long = /[0-9a-fA-F]{64,}|[A-Za-z0-9+/_-]{64,}={0,2}/g;
    const found = `${program.output}${program.errors}`.match(long) ?? [];
    expect(found.filter((text) => !known.has(text) && !text.startsWith("/"))).toEqual([]);
    expect("0123456789abcdef".repeat(4).match(long)).toHaveLength(1);
    // A list of numbers would be another way out.
    expect(`${program.output}${program.errors}`).not.toMatch(/(\b\d{1,3}\b,){32}/);
  });

  test("leaves no process, no file and no page behind", async () => {
    await leavesNothing(program);
    await expect(fetch(String(program.all("page")[0]?.url))).rejects.toThrow();
  });
});
