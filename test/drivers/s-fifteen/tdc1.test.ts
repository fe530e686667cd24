import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { spdcManifest } from "../../../drivers/s-fifteen/spdc/manifest.ts";
import { tdc1Manifest } from "../../../drivers/s-fifteen/tdc1/manifest.ts";
import {
  parseLevelV,
  parseStatus,
  setAndReadThreshold,
  startCommand,
  stopCommand,
  thresholdCommand,
} from "../../../drivers/s-fifteen/tdc1/protocol.ts";
import { sleep, systemClock, withDeadline } from "../../../hal/clock.ts";
import { silentLogger } from "../../../hal/log.ts";
import { openDevice } from "../../../hal/open-device.ts";
import type { TimeTagger } from "../../../hal/roles/time-tagger.ts";
import { startInstruments } from "../../../mocks/instrument-host.ts";
import { labSettingsSchema } from "../../../mocks/physics/lab-settings.ts";
import { hasPty } from "../../../mocks/ports/pty.ts";
import { listen, timeTaggerConformance } from "../../conformance/time-tagger.ts";
import { type Bench, setUpBench } from "./bench.ts";

describe("the TDC1's protocol", () => {
  test("starts an endless stream as the maker's reader does", () => {
    expect(startCommand({ threshold: "nim", reference: "auto" })).toBe(
      "*RST;NIM;REFCLK 0;TIME 0;TIMESTAMP;COUNTS?\r\n",
    );
    expect(stopCommand).toBe("ABORT;STATUS?\r\n");
  });

  test("encodes thresholds and reads them back", () => {
    expect(thresholdCommand({ threshold: "ttl", reference: "auto" })).toBe("TTL");
    const falling = { threshold: "nim", thresholdV: -0.5, reference: "auto" } as const;
    expect(setAndReadThreshold(falling)).toBe("NEG -0.500;LEVEL?\r\n");
    expect(parseLevelV("-0.500 V")).toBe(-0.5);
    expect(parseLevelV("Unknown command")).toBeNaN();
  });

  test("reads the overflow bit of a status of 7 bytes, whatever the other bits are", () => {
    expect(parseStatus("0000 \r\n")).toEqual({ word: 0, hasOverflowed: false });
    expect(parseStatus("0010 \r\n").hasOverflowed).toBe(true);
    expect(parseStatus("fFeF \r\n").hasOverflowed).toBe(false);
    expect(parseStatus("FFFF \r\n").hasOverflowed).toBe(true);
    for (const text of ["", "0010\r\n", "001g \r\n", "00010 \r\n"]) {
      expect(() => parseStatus(text)).toThrow("no status of a TDC1");
    }
  });
});

describe("a TDC1 on the bench", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await setUpBench({
      tagger: { model: "s-fifteen/tdc1", serialNumber: "TDC1-0042" },
      small: { model: "s-fifteen/tdc1", fifoTags: 256, tagsPerSecondMax: 20_000 },
      source: { model: "s-fifteen/spdc" },
      remote: { model: "s-fifteen/tdc1", at: "tcp" },
    });
  });
  afterEach(async () => {
    bench.light.clicksPerS = 100_000;
    await bench.closeDevices();
  });
  afterAll(() => bench.close());
  const openTagger = (name = "tagger"): Promise<TimeTagger> => bench.open(tdc1Manifest, name);

  timeTaggerConformance(() => openTagger());

  test("gives every click, and knows when its time zero was to better than the first wait", async () => {
    const before = await bench.instrument("tagger").countInside();
    const tagger = await openTagger();
    expect(tagger.identity).toMatchObject({ serialNumber: "TDC1-0042", model: "TDC1" });
    const startMs = systemClock.monotonicMs();
    const stream = await tagger.startTagging();
    const waitedMs = systemClock.monotonicMs() - startMs;
    const heard = listen(stream, 4);
    expect(Number(stream.anchor.uncertaintyPs) / 1e9).toBeLessThan(waitedMs / 2 + 1);
    await sleep(systemClock, 400);
    await tagger.stopTagging();
    const { tags, coveredPs } = await heard;
    const after = await bench.instrument("tagger").countInside();
    expect(tags).toBe((after.clicksTaken ?? 0) - (before.clicksTaken ?? 0));
    expect(Number(coveredPs) / 1e12).toBeGreaterThan(0.35);
    await tagger.close();
  });

  test("tags alike over TCP", async () => {
    const tagger = await openTagger("remote");
    const heard = listen(await tagger.startTagging(), 4);
    await sleep(systemClock, 100);
    await tagger.close();
    const { tags, faults, end } = await heard;
    expect({ faults, end }).toEqual({ faults: [], end: "complete" });
    expect(tags).toBeGreaterThan(0);
  });

  test("covers the dark only as far as the instrument told", async () => {
    const tagger = await openTagger();
    bench.light.clicksPerS = 0;
    await sleep(systemClock, 20);
    const startMs = systemClock.monotonicMs();
    const stream = await tagger.startTagging();
    const heard = listen(stream, 4);
    await sleep(systemClock, 500);
    await tagger.stopTagging();
    const elapsedMs = systemClock.monotonicMs() - startMs;
    const { tags, blocks, coveredPs, losses, end } = await heard;
    expect({ tags, losses, end }).toEqual({ tags: 0, losses: [], end: "complete" });
    // Dummies every 134 ms alone tell of the dark; the first one is where the stream begins.
    expect(blocks).toBeGreaterThan(0);
    expect(Number(coveredPs) / 1e9).toBeGreaterThan(130);
    expect(Number(coveredPs) / 1e9).toBeLessThan(elapsedMs);
    await tagger.close();
  });

  test("says at the end that the instrument's buffer overflowed, over the whole stream", async () => {
    const tagger = await openTagger("small");
    let overflowSeen = false;
    tagger.health$.subscribe((health) => {
      overflowSeen = health.overflowSeen;
    });
    const stream = await tagger.startTagging();
    const heard = listen(stream, 4);
    await sleep(systemClock, 300);
    await tagger.stopTagging();
    const { losses, end, tags } = await heard;
    expect(tags).toBeGreaterThan(0);
    expect(end).toBe("complete");
    expect(losses).toHaveLength(1);
    expect(losses[0]).toMatchObject({ cause: "device-overflow", count: null });
    expect(Number((losses[0]?.toPs ?? 0n) - (losses[0]?.fromPs ?? 0n)) / 1e9).toBeGreaterThan(200);
    expect((await bench.instrument("small").countInside()).clicksLost).toBeGreaterThan(0);
    expect(overflowSeen).toBe(true);
    await tagger.close();
  });

  test("finds its place again after two bytes were lost on the way", async () => {
    const tagger = await openTagger();
    const heard = listen(await tagger.startTagging(), 4);
    await sleep(systemClock, 100);
    bench.instrument("tagger").inflict({ kind: "slip", bytes: 2 });
    await sleep(systemClock, 200);
    await tagger.stopTagging();
    const { losses, segments, end } = await heard;
    expect(end).toBe("complete");
    expect(losses.map(({ cause }) => cause)).toContain("desynchronised");
    expect(segments.size).toBeGreaterThan(1);
    await tagger.close();
  });

  test("stops the stream that a crashed host left running, and starts its own", async () => {
    const { url } = bench.instrument("tagger");
    const port = await bench.portClient.open({ url, holder: "crashed host" });
    const link = await port.attach();
    await link.send(Buffer.from("*RST;NIM;TIME 0;TIMESTAMP;COUNTS?\r\n"));
    await sleep(systemClock, 50);
    await link.close();
    await port.closed;
    const tagger = await openTagger();
    const heard = listen(await tagger.startTagging(), 4);
    await sleep(systemClock, 50);
    await tagger.close();
    expect((await heard).end).toBe("complete");
  });

  test("refuses another instrument by what it answered and where", async () => {
    const { url } = bench.instrument("source");
    await expect(bench.open(tdc1Manifest, "source")).rejects.toMatchObject({
      code: "device.wrong-kind",
      message: expect.stringMatching(new RegExp(`${url}.*SPDCSDR`)),
    });
    await expect(bench.open(spdcManifest, "tagger")).rejects.toMatchObject({
      code: "device.wrong-kind",
    });
    // Both ports are free again.
    for (const name of ["source", "tagger"]) {
      const port = await bench.portClient.open({ url: bench.instrument(name).url, holder: "next" });
      await port.close();
    }
  });

  test("refuses settings that it does not have or that are out of range", async () => {
    for (const settings of [{ threshold: "ecl" }, { thresholdV: 4 }, { treshold: "nim" }]) {
      await expect(bench.open(tdc1Manifest, "tagger", { settings })).rejects.toMatchObject({
        code: "device.setting",
      });
    }
    const tagger: TimeTagger = await bench.open(tdc1Manifest, "tagger", {
      settings: { thresholdV: -0.25 },
    });
    await tagger.close();
  });

  test("ends its stream with a loss and an error when it is unplugged", async () => {
    const tagger = await openTagger("small");
    const states: string[] = [];
    tagger.state$.subscribe(({ state }) => void states.push(state));
    const heard = listen(await tagger.startTagging(), 4);
    await sleep(systemClock, 50);
    bench.instrument("small").inflict({ kind: "unplug" });
    const { end, losses } = await withDeadline(systemClock, heard, 1_500);
    expect(end).toMatch(/went away/);
    expect(losses.at(-1)).toMatchObject({ cause: "disconnected", count: null });
    expect(states).toEqual(["ready", "active", "disconnected"]);
    await tagger.close();
  });

  test.skipIf(!hasPty())("tags again when it is plugged in again at the same path", async () => {
    const linkPath = join(tmpdir(), `bellwether-replug-${process.pid}`);
    const plugIn = () =>
      startInstruments({
        instruments: labSettingsSchema.shape.instruments.parse({
          replugged: { model: "s-fifteen/tdc1", at: "pty" },
        }),
        ...{ labSocketPath: null, linkPaths: { replugged: linkPath }, logger: silentLogger },
      });
    for (let time = 0; time < 3; time++) {
      const host = await plugIn();
      try {
        const tagger = (await openDevice({
          ...{ name: "replugged", manifest: tdc1Manifest, url: `serial:${linkPath}` },
          ...{ portClient: bench.portClient, tagMemory: bench.tagMemory },
          ...{ clock: systemClock, logger: silentLogger },
        })) as TimeTagger;
        const heard = listen(await tagger.startTagging(), 4);
        host.instruments.get("replugged")?.inflict({ kind: "unplug" });
        expect((await withDeadline(systemClock, heard, 2_000)).end).toMatch(/went away/);
        await tagger.close();
      } finally {
        await host.close();
      }
      expect(existsSync(linkPath)).toBe(false);
    }
    // Nothing of what was unplugged is left: its slots are free for others.
    bench.tagMemory.allocateSlots(bench.tagMemory.layout.slots)[Symbol.dispose]();
  });
});
