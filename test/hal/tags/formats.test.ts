import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../hal/clock.ts";
import { csvHeading, encodeCsv } from "../../../hal/tags/formats/csv.ts";
import { PtuT2Encoder, PtuWriter } from "../../../hal/tags/formats/ptu-writer.ts";
import { recordStream } from "../../../hal/tags/recorder.ts";
import { openRecording } from "../../../hal/tags/recording-source.ts";
import { createKernelHarness, testRandom } from "./kernel-harness.ts";
import { collect, createFolder, createReading } from "./recording-harness.ts";

const folder = createFolder();
const reading = createReading();

function drawTags(count: number, gapPsMax: number, seed: number) {
  const random = testRandom(seed);
  const times = new BigInt64Array(count);
  const channels = new Uint8Array(count);
  let time = 0n;
  for (let index = 0; index < count; index++) {
    time += BigInt(random.below(random.uniform() < 0.01 ? 2 ** 32 : gapPsMax));
    times[index] = time;
    channels[index] = random.below(4);
  }
  return { times, channels };
}

async function writePtu(name: string, times: BigInt64Array, channels: Uint8Array): Promise<string> {
  const path = folder.path(name);
  const description = { comment: "test", startUtcPs: 1_700_000_000_000_000_000_000n, inputs: 4 };
  const writer = await PtuWriter.create(path, description);
  await writer.write(times.subarray(0, 10), channels.subarray(0, 10));
  await writer.write(times.subarray(10), channels.subarray(10));
  await writer.close();
  return path;
}

describe("PTU T2", () => {
  it("reads back what it wrote, over many wraps", async () => {
    const { times, channels } = drawTags(150_000, 100_000, 1);
    const recording = await openRecording(await writePtu("own.ptu", times, channels), reading);
    expect(recording.stream.epochPs).toBe(1_700_000_000_000_000_000_000n);
    const read = await collect(recording.stream);
    expect(read.times).toEqual([...times]);
    expect(read.channels).toEqual([...channels]);
    expect(recording.head.settings).toHaveProperty("File_Comment", "test");
  });

  it("decodes any times and channels that it encodes", () => {
    const harness = createKernelHarness(4096);
    const [records, state] = [harness.room(8192), harness.room(64)];
    const tags = fc.array(
      fc.tuple(
        fc.bigInt({ min: 0n, max: 2n ** 52n }),
        fc.constantFrom(0, 1, 5, 62, 64, 65, 66, 68),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(tags, (drawn) => {
        drawn.sort(([a], [b]) => Number(a - b));
        const times = BigInt64Array.from(drawn, ([time]) => time);
        const channels = Uint8Array.from(drawn, ([, channel]) => channel);
        const encoded = new PtuT2Encoder().encode(times, channels);
        new Uint32Array(harness.memory.memory.buffer, records, encoded.length).set(encoded);
        harness.bytes.fill(0, state, state + 64);
        harness.view.setBigInt64(state + 8, 1n, true);
        harness.view.setBigInt64(state + 16, 2n ** 25n, true);
        harness.view.setUint32(state + 24, 1, true);
        const at = [state, records, encoded.length, harness.times, harness.channels, 4096] as const;
        const count = harness.kernels.decodeHydraHarpT2(...at);
        expect(harness.timesOf(count)).toEqual([...times]);
        expect(harness.channelsOf(count)).toEqual([...channels]);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  it("refuses an unknown record type, a header without end and a missing tag", async () => {
    const { times, channels } = drawTags(100, 1_000, 2);
    const good = readFileSync(await writePtu("good.ptu", times, channels));
    const unknown = Buffer.from(good);
    unknown.writeBigInt64LE(0x12345678n, unknown.indexOf("TTResultFormat_TTTRRecType") + 40);
    const headless = good.subarray(0, 300);
    const nameless = Buffer.from(good);
    nameless.write("X", nameless.indexOf("TTResultFormat_TTTRRecType"));
    const cases = [
      ["unknown.ptu", unknown, "file.unsupported-records", /unknown type 0x12345678/],
      ["headless.ptu", headless, "file.damaged", /header has no end/],
      ["nameless.ptu", nameless, "file.damaged", /TTResultFormat_TTTRRecType/],
    ] as const;
    for (const [name, bytes, code, message] of cases) {
      const path = folder.write(name, bytes);
      await expect(openRecording(path, reading)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
  });

  it("gives values or a LabError for any damage to the header", async () => {
    const { times, channels } = drawTags(100, 1_000, 2);
    const good = readFileSync(await writePtu("again.ptu", times, channels));
    const random = testRandom(7);
    for (let round = 0; round < 100; round++) {
      const bad = Buffer.from(good);
      for (let hit = 0; hit < 4; hit++) bad[8 + random.below(700)] = random.below(256);
      const opened = openRecording(folder.write("bad.ptu", bad), reading);
      await opened.catch((error: unknown) => expect(error).toMatchObject({ name: "LabError" }));
    }
  });

  it("puts tags that are slightly out of order in place, and says so", async () => {
    const times = BigInt64Array.from({ length: 5_000 }, (_, index) => BigInt(3_000 * index + 7));
    const channels = Uint8Array.from({ length: 5_000 }, (_, index) => index % 4);
    const mixed = times.slice();
    for (let index = 100; index < 4_900; index += 50) {
      [mixed[index], mixed[index + 3]] = [times[index + 3] ?? 0n, times[index] ?? 0n];
    }
    const path = await writePtu("mixed.ptu", mixed, channels);
    const recording = await openRecording(path, { ...reading, tagsPerBlockMax: 64 });
    expect((await recording.facts()).sorted).toBe(false);
    const read = await collect(recording.stream);
    expect(read.times).toEqual([...times]);
    expect(read.losses).toEqual([]);

    const strict = await openRecording(path, { ...reading, reorderWindowPs: 8_000n });
    const lost = (await collect(strict.stream)).losses;
    expect(lost).toHaveLength(96);
    expect(lost[0]).toEqual({ fromPs: 300_007n, toPs: 300_008n, count: 1, cause: "damaged-file" });
    expect(await strict.facts()).toMatchObject({ lostTags: 96, tags: 4_904 });
  });
});

describe("blocks of a recording", () => {
  it.each([8, 100, 65_536])(
    "cover time without gap or overlap, at most %i tags each",
    async (max) => {
      const { times, channels } = drawTags(3_000, 5, 5);
      const path = await writePtu(`cover${max}.ptu`, times, channels);
      const recording = await openRecording(path, { ...reading, tagsPerBlockMax: max });
      const { blocks } = await collect(recording.stream);
      expect(blocks[0]?.fromPs).toBe(0n);
      blocks.forEach((block, at) => {
        expect(block.count).toBeLessThanOrEqual(max);
        if (at > 0) expect(block.fromPs).toBe(blocks[at - 1]?.toPs);
        expect(block.times.every((time) => time >= block.fromPs && time < block.toPs)).toBe(true);
      });
      expect(blocks.flatMap((block) => block.times)).toEqual([...times]);
    },
  );
});

describe("TDC1 words", () => {
  const writeWords = (name: string, cut: (bytes: Buffer) => Buffer): string => {
    const random = testRandom(8);
    const bytes = Buffer.alloc(40_000);
    let tick = 2 ** 27 - 100_000;
    for (let at = 0; at < bytes.length; at += 4) {
      tick += 1 + random.below(100);
      bytes.writeUInt32LE(((tick % 2 ** 27) * 32 + (1 << random.below(4))) >>> 0, at);
    }
    return folder.write(name, cut(bytes));
  };

  it("are told from other files and read across a rollover", async () => {
    const recording = await openRecording(
      writeWords("words.raw", (bytes) => bytes),
      reading,
    );
    expect(recording.format).toBe("tdc1-words");
    expect(await recording.facts()).toMatchObject({ tags: 10_000, sorted: true, lostTags: 0 });
  });

  it("are found again after bytes went missing, in a new segment, with the loss told", async () => {
    const cut = (bytes: Buffer): Buffer =>
      Buffer.concat([bytes.subarray(0, 20_000), bytes.subarray(20_002)]);
    const recording = await openRecording(writeWords("slipped.raw", cut), reading);
    const read = await collect(recording.stream);
    expect(read.losses).toMatchObject([{ cause: "desynchronised", count: null }]);
    expect(read.blocks.at(-1)?.segment).toBe(1);
    expect(read.times.length).toBeGreaterThan(9_980);
    expect(read.times.length).toBeLessThan(10_010);
  });
});

describe("the native recording", () => {
  const record = async (name: string) => {
    const { times, channels } = drawTags(20_000, 1_000, 6);
    const ptu = await writePtu(`${name}.ptu`, times, channels);
    const source = await openRecording(ptu, { ...reading, tagsPerBlockMax: 1_000 });
    const path = folder.path(`${name}.bwt`);
    const recorder = await recordStream(source.stream, path, {
      ...{ clock: systemClock, notes: "aligned by hand", blocksHeldMax: 16 },
      snapshot: { currentMa: 30, epochPs: 5n },
    });
    return { path, times, channels, progress: await recorder.done };
  };

  it("reads back tags, notes and settings", async () => {
    const { path, times, channels, progress } = await record("whole");
    expect(progress).toEqual({
      ...{ tags: 20_000, tagsLeftOut: 0, bytesWritten: readFileSync(path).length },
    });
    const recording = await openRecording(path, reading);
    expect(recording.head.settings).toMatchObject({
      notes: "aligned by hand",
      snapshot: { currentMa: 30, epochPs: "5" },
    });
    const read = await collect(recording.stream);
    expect(read.times).toEqual([...times]);
    expect(read.channels).toEqual([...channels]);
    expect(read.losses).toEqual([]);
    await expect(
      recordStream(recording.stream, path, { clock: systemClock }),
    ).rejects.toMatchObject({
      code: "file.exists",
    });
  });

  it("is good up to the last whole block, wherever a power cut ended it", async () => {
    const { path, times } = await record("cut");
    const bytes = readFileSync(path);
    const ends: { readonly at: number; readonly tags: number }[] = [];
    for (let [at, tags] = [0, 0]; at < bytes.length; ) {
      tags += bytes.readUInt32LE(at + 32);
      at += 64 + bytes.readUInt32LE(at + 44);
      ends.push({ at, tags });
    }
    expect(ends.at(-1)).toEqual({ at: bytes.length, tags: 20_000 });
    const [, , third, fourth] = ends;
    if (third === undefined || fourth === undefined) throw new Error("too few blocks");
    for (const length of [third.at + 1, third.at + 63, fourth.at - 1, bytes.length - 1]) {
      const whole = ends.findLast(({ at }) => at <= length)?.tags ?? 0;
      const damaged = folder.write("damaged.bwt", bytes.subarray(0, length));
      const recording = await openRecording(damaged, reading);
      const facts = await recording.facts();
      expect(facts.tags).toBe(whole);
      expect(facts.losses).toMatchObject([{ cause: "damaged-file", count: null }]);
      expect(facts.warnings.join()).toMatch(/last \d+ bytes/);
      const read = await collect(recording.stream);
      expect(read.times).toEqual([...times.subarray(0, facts.tags)]);
    }
  });

  it("notices a single flipped bit", async () => {
    const { path } = await record("flipped");
    const bytes = readFileSync(path);
    bytes[bytes.length - 5_000] = (bytes[bytes.length - 5_000] ?? 0) ^ 4;
    const facts = await (await openRecording(folder.write("flip.bwt", bytes), reading)).facts();
    expect(facts.lostTags).toBeNull();
    bytes[100] = (bytes[100] ?? 0) ^ 4;
    await expect(openRecording(folder.write("flop.bwt", bytes), reading)).rejects.toMatchObject({
      code: "file.damaged",
    });
  });
});

it("writes CSV with exact times", () => {
  const times = BigInt64Array.of(-1n, 5_000_000_000_000_000_001n);
  expect(csvHeading + encodeCsv(times, Uint8Array.of(0, 3))).toBe(
    "time_ps,channel\n-1,0\n5000000000000000001,3\n",
  );
});
