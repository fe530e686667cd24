import { copyFileSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { firstValueFrom, lastValueFrom } from "rxjs";
import { describe, expect, it } from "vitest";
import { analyse } from "../../../hal/tags/analysis.ts";
import type { MeasurementSpec } from "../../../hal/tags/measurements.ts";
import { openRecording } from "../../../hal/tags/recording-source.ts";
import { collect, createFolder, createReading, recordings } from "./recording-harness.ts";

const folder = createFolder();
const data = recordings ?? "";
const eta = join(data, "ETA/200204_HH400_T2_320MHz_HBT.timeres");
const reading = createReading();

const specs: readonly MeasurementSpec[] = [
  { kind: "rates" },
  { kind: "histogram", start: 0, stop: 1, binPs: 16n, rangePs: 160_000n },
  { kind: "coincidences", channels: [0, 1], windowPs: 1_000n, delaysPs: { 1: -23_940n } },
  { kind: "coincidences", channels: [0, 1], windowPs: 1_000n, delaysPs: { 1: 23_940n } },
  {
    ...{ kind: "coincidences", channels: [0, 1], windowPs: 3_128n },
    ...{ delaysPs: { 1: -23_940n }, spacingPs: 3_128n, displacements: 20 },
  },
];

const measureEta = async (tagsPerBlockMax?: number) => {
  const options = tagsPerBlockMax === undefined ? reading : { ...reading, tagsPerBlockMax };
  const recording = await openRecording(eta, options);
  return lastValueFrom(analyse(recording.stream, specs, { ...reading, reportEveryMs: 1_000 }));
};

describe.skipIf(recordings === undefined)("real recordings (folder BELLWETHER_DATA)", () => {
  it("reads a HydraHarp T2 file", async () => {
    const recording = await openRecording(eta, reading);
    expect(recording.format).toBe("ptu-t2");
    expect(await recording.facts()).toEqual({
      ...{ records: 409_482, tags: 384_019, channels: { 0: 159_298, 1: 224_721 } },
      ...{ firstPs: 8_584_904n, lastPs: 999_986_166_686n, toPs: 999_986_166_687n },
      ...{ sorted: true, losses: [], lostTags: 0, warnings: [] },
    });
    const { times } = await collect(recording.stream);
    expect(times.reduce((sum, time) => sum + time, 0n)).toBe(190_046_939_684_903_752n);
    expect(times.reduce((sum, time) => sum ^ time, 0n)).toBe(809_283_290_856n);
  });

  it("reads a HydraHarp file whose overflows count by version 2", async () => {
    const path = join(data, "libpicoquant/hydraharp/v30_t2.ptu");
    const recording = await openRecording(path, reading);
    expect(await recording.facts()).toMatchObject({
      ...{ records: 435_319, tags: 305_565, channels: { 0: 305_565 } },
      ...{ lastPs: 4_999_964_931_763n, sorted: true, lostTags: 0 },
    });
  });

  it("reads S-Fifteen events with their patterns of several inputs", async () => {
    const path = join(data, "fpfind/timestamp7_c1234.Aa1.ts");
    const recording = await openRecording(path, reading);
    expect(recording.format).toBe("s-fifteen-a1");
    const facts = await recording.facts();
    expect(facts).toMatchObject({ records: 2_000, tags: 2_012, sorted: true, lostTags: 0 });
    expect(Math.round(Number((facts.lastPs ?? 0n) - (facts.firstPs ?? 0n)) / 1e4)).toBe(93_501);
    const { times, channels } = await collect(recording.stream);
    const patterns: Record<number, number> = {};
    times.forEach((time, at) => {
      if (times[at - 1] === time) return;
      let pattern = 0;
      for (let next = at; times[next] === time; next++) pattern |= 1 << (channels[next] ?? 0);
      patterns[pattern] = (patterns[pattern] ?? 0) + 1;
    });
    expect(patterns).toEqual({ 1: 614, 2: 481, 4: 476, 8: 417, 3: 2, 5: 2, 6: 3, 9: 3, 10: 2 });
  });

  it("finds that a file has the high word first", async () => {
    const recording = await openRecording(join(data, "QKDServer_hist/test.raw"), reading);
    expect(recording.format).toBe("s-fifteen-a1-legacy");
    const facts = await recording.facts();
    expect(facts).toMatchObject({ tags: 185, channels: { 0: 103, 1: 82 } });
    expect(Math.round(Number((facts.lastPs ?? 0n) - (facts.firstPs ?? 0n)) / 1e7)).toBe(99_266);
  });

  it("measures the published answers, whatever the size of blocks", async () => {
    const report = await measureEta();
    const [, histogram, early, late, g2] = report.results;
    if (histogram?.kind !== "histogram") throw new Error("no histogram");
    const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);
    expect(sum(histogram.counts.subarray(0, 10_000))).toBe(24_663);
    expect(sum(histogram.counts.subarray(10_000))).toBe(24_928);
    expect(early).toMatchObject({ coincidences: 1 });
    expect(late).toMatchObject({ coincidences: 7 });
    if (g2?.kind !== "coincidences") throw new Error("no coincidences");
    expect(g2.coincidences).toBe(2);
    expect(g2.car?.value).toBeCloseTo(0.004, 3);
    for (const tagsPerBlockMax of [777, 40_000]) {
      expect((await measureEta(tagsPerBlockMax)).results).toEqual(report.results);
    }
  });

  it("reads what is there of a file that was cut off, and says what is not", async () => {
    const path = folder.path("cut.ptu");
    copyFileSync(eta, path);
    truncateSync(path, 1_000_001);
    const facts = await (await openRecording(path, reading)).facts();
    expect(facts.tags).toBeGreaterThan(200_000);
    expect(facts.lostTags).toBeNull();
    expect(facts.losses).toMatchObject([{ cause: "damaged-file", count: null }]);
    expect(facts.warnings.join()).toMatch(/cut off: 409482 records promised/);
  });

  it.each([0n, -1n])("takes the file's length where the header says %s records", async (count) => {
    const bytes = readFileSync(eta);
    const at = bytes.indexOf("TTResult_NumberOfRecords");
    bytes.writeBigInt64LE(count, at + 40);
    const recording = await openRecording(folder.write("live.ptu", bytes), reading);
    const facts = await recording.facts();
    expect(facts).toMatchObject({ records: 409_482, tags: 384_019, losses: [] });
    expect(facts.warnings).toHaveLength(1);
  });

  it.each([
    ["ETA/200204_HH400_T3_320MHz_HBT.timeres", "file.unsupported-records", /T3/],
    ["ETA/19_qutag_80MHz_HBT_sync_filtered.qutag", "file.unsupported-format", /quTAG/],
    ["FCS_point_correlator/topfluorPE_2_1_1_1.pt3", "file.unsupported-format", /before PTU/],
    ["phconvert/test_noise.spc", "file.not-a-recording", /no known format/],
    ["README.md", "file.not-a-recording", /text/],
    ["ETA", "file.not-a-file", /directory/],
    ["nothing-here.ptu", "file.missing", /check the path/],
  ])("refuses %s in one clear sentence", async (name, code, message) => {
    await expect(openRecording(join(data, name), reading)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      details: { path: join(data, name) },
    });
  });

  it("stops reading when nobody listens any more, and gives all slots back", async () => {
    const recording = await openRecording(eta, { ...reading, slots: 4, tagsPerBlockMax: 100 });
    await firstValueFrom(recording.stream.blocks$);
    await expect.poll(() => reading.memory.freeSlots({ firstSlot: 0, slots: 64 })).toBe(64);
  });
});
