import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { PtuWriter } from "../../hal/tags/formats/ptu-writer.ts";
import { seededRandom } from "../../mocks/seeded-random.ts";
import { bellwether } from "./command-line.ts";

const { BELLWETHER_DATA: data } = process.env;
const eta = `${data}/ETA/200204_HH400_T2_320MHz_HBT.timeres`;
const v30 = `${data}/libpicoquant/hydraharp/v30_t2.ptu`;
const folder = mkdtempSync(join(tmpdir(), "bellwether-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function json(...commandArguments: readonly string[]): Promise<Record<string, unknown>> {
  const { exitCode, output, errors } = await bellwether(...commandArguments, "--json");
  expect(errors).toBe("");
  expect(exitCode).toBe(0);
  return JSON.parse(output) as Record<string, unknown>;
}

const etaFacts = {
  records: 409_482,
  tags: 384_019,
  channels: { 0: 159_298, 1: 224_721 },
  lastPs: "999986166686",
  lostTags: 0,
  losses: [],
  sorted: true,
  warnings: [],
};

describe.skipIf(data === undefined)("the command line on real recordings", () => {
  test("info gives the object that scripts rely on", async () => {
    const info = await json("info", eta);
    expect(Object.keys(info)).toEqual([
      ...["format", "records", "tags", "channels", "firstPs", "lastPs"],
      ...["lostTags", "losses", "sorted", "warnings"],
    ]);
    expect(info).toMatchObject(etaFacts);
    expect(await json("info", v30)).toMatchObject({ tags: 305_565, lastPs: "4999964931763" });
  });

  test("measure correlation counts all pairs of the ETA file", async () => {
    const { binPs, fromPs, counts } = await json(
      ...["measure", "correlation", eta, "--start", "0", "--stop", "1"],
      ...["--bin", "16ps", "--range", "160ns"],
    );
    expect([binPs, fromPs]).toEqual(["16", "-160000"]);
    const bins = counts as readonly number[];
    const sum = (some: readonly number[]): number => some.reduce((total, each) => total + each, 0);
    expect(bins).toHaveLength(20_000);
    expect(sum(bins.slice(10_000))).toBe(24_928);
    expect(sum(bins.slice(0, 10_000))).toBe(24_663);
  });

  test.each([
    ["0,1", "1=-23.94ns", 1],
    ["Input 1,Input 2", "Input 2=23.94ns", 7],
  ])("measure coincidences of %s with delay %s gives %d", async (channels, delay, expected) => {
    const result = await json(
      ...[
        "measure",
        "coincidences",
        eta,
        "--channels",
        channels,
        "--window",
        "1ns",
        "--delay",
        delay,
      ],
    );
    expect(result).toMatchObject({ coincidences: expected, windowPs: "1000", lostTags: 0 });
    expect(result).toHaveProperty("accidentals", expect.any(Number));
  });

  test("measure coincidences warns where displaced windows miss or hit the pulses", async () => {
    const command = ["measure", "coincidences", eta, "--channels", "0,1"];
    const { warnings } = await json(...command);
    expect(warnings).toEqual([expect.stringContaining("more scatter than chance")]);
    const text = await bellwether(...command);
    expect(text.errors).toBe(`warning: ${String((warnings as readonly string[])[0])}\n`);
  });

  test("measure delay finds the period of the pulses, 320 MHz, and says that peaks compete", async () => {
    const { peakSpacingPs, warnings } = await json("measure", "delay", eta, "--range", "100ns");
    expect(Number(peakSpacingPs)).toBeGreaterThan(3_100);
    expect(Number(peakSpacingPs)).toBeLessThan(3_150);
    expect(warnings).toEqual([expect.stringContaining("separate peaks compete")]);
  });

  test("a channel that the recording does not have is refused by name and by number", async () => {
    for (const channel of ["5", "nobody"]) {
      const { exitCode, errors } = await bellwether(
        "measure",
        "correlation",
        eta,
        "--start",
        channel,
      );
      expect(exitCode).toBe(1);
      expect(errors).toContain("there are 0 (Input 1), 1 (Input 2)");
    }
  });

  test("measure rates agrees with info, and CSV with JSON", async () => {
    const { channels } = await json("measure", "rates", eta);
    expect(channels).toMatchObject({ 0: { count: 159_298 }, 1: { count: 224_721 } });
    const { output } = await bellwether("measure", "rates", eta, "--csv");
    const lines = output.trim().split("\n");
    expect(lines[0]).toBe("channel,count,rate_hz,rate_uncertainty_hz");
    expect(lines[1]).toMatch(/^0,159298,159300\.\d+,399\.\d+$/);
  });

  test("convert to csv writes exact times, and measure delay admits that one channel has none", async () => {
    const out = join(folder, "copy.csv");
    await bellwether("convert", eta, out);
    expect(readFileSync(out, "utf8").split("\n", 2)).toEqual(["time_ps,channel", "8584904,0"]);
    const { exitCode, output } = await bellwether("measure", "delay", v30, "--json");
    expect(exitCode).toBe(3);
    expect(JSON.parse(output)).toMatchObject({ delayPs: null, pairs: 0 });
  });

  test("replay prints rates, losses and a drawing", async () => {
    const { exitCode, output, errors } = await bellwether("replay", eta);
    expect([exitCode, errors]).toEqual([0, ""]);
    expect(output).toMatch(/159298 {2}159\.3\(4\) k\/s/);
    expect(output).toContain("no tag lost");
    expect(output).toMatch(/█/);
    expect(output).toMatch(/ns$/m);
  });

  test("replay at twice the speed takes half the time of the recording and loses nothing", async () => {
    const before = performance.now();
    const { output } = await bellwether("replay", eta, "--speed", "2", "--json");
    expect(performance.now() - before).toBeGreaterThan(500);
    const events = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.length).toBeGreaterThan(1);
    expect(events.at(-1)).toMatchObject({ event: "summary", tags: 384_019, lostTags: 0 });
  });

  test.each(["bwt", "ptu"])("convert to %s keeps every tag", async (format) => {
    const out = join(folder, `copy.${format}`);
    expect(await json("convert", eta, out)).toMatchObject({ tags: 384_019, format });
    const { records: _records, ...tags } = etaFacts;
    expect(await json("info", out)).toMatchObject(tags);
    const again = await bellwether("convert", eta, out);
    expect(again.exitCode).toBe(1);
    expect(again.errors).toContain(`${out} exists already`);
  });
});

describe("measure delay", () => {
  test("finds the delay that was put between two channels", async () => {
    const path = join(folder, "delayed.ptu");
    const writer = await PtuWriter.create(path, { comment: "", startUtcPs: 0n, inputs: 2 });
    const random = seededRandom(7);
    const delayPs = 12_345n;
    const starts = Array.from(
      { length: 2_000 },
      (_, index) => BigInt(index) * 5_000_000n + BigInt(random.below(4_000_000)),
    );
    const times = BigInt64Array.from(starts.flatMap((start) => [start, start + delayPs]));
    await writer.write(
      times,
      Uint8Array.from(times, (_, index) => index % 2),
    );
    await writer.close();
    const { exitCode, output } = await bellwether("measure", "delay", path, "--json");
    expect(exitCode).toBe(0);
    const found = JSON.parse(output);
    expect(Math.abs(Number(found.delayPs) + Number(delayPs))).toBeLessThanOrEqual(
      1 + 5 * found.uncertaintyPs,
    );
    expect(found.pairs).toBe(2_000);
    expect(found).toMatchObject({ peaks: 1, peakSpacingPs: null, warnings: [] });
  });
});

describe("bad input", () => {
  const refused = async (path: string, code = 1): Promise<string> => {
    const { exitCode, output, errors } = await bellwether("info", path);
    expect(output).toBe("");
    expect(exitCode).toBe(code);
    expect(errors.trim().split("\n")).toHaveLength(1);
    expect(errors).toContain(path);
    return errors;
  };
  const copyOf = (name: string, change: (bytes: Buffer) => void): string => {
    const path = join(folder, name);
    const bytes = readFileSync(v30);
    change(bytes);
    writeFileSync(path, bytes);
    return path;
  };

  test("a file that is missing, a directory, text and an empty file are refused in one sentence", async () => {
    await refused(join(folder, "missing.ptu"));
    await refused(folder);
    const text = join(folder, "text.ptu");
    writeFileSync(text, "This is no recording.\n".repeat(20));
    await refused(text);
    const empty = join(folder, "empty.ptu");
    writeFileSync(empty, "");
    await refused(empty);
  });

  test.skipIf(data === undefined)("an unknown record type is refused in one sentence", async () => {
    const path = copyOf("unknown-type.ptu", (bytes) => {
      const tag = bytes.indexOf("TTResultFormat_TTTRRecType");
      bytes.writeBigInt64LE(0x0badn, tag + 40);
    });
    await refused(path);
  });

  test.skipIf(data === undefined).each([0n, -1n])(
    "a record count of %d in the header is read by the length of the file, with a warning",
    async (count) => {
      const path = copyOf(`count${count}.ptu`, (bytes) => {
        bytes.writeBigInt64LE(count, bytes.indexOf("TTResult_NumberOfRecords") + 40);
      });
      const { exitCode, output, errors } = await bellwether("info", path, "--json");
      expect(exitCode).toBe(3);
      expect(errors).toContain(`${path}: the header says ${count} records`);
      expect(JSON.parse(output)).toMatchObject({ tags: 305_565 });
      expect(JSON.parse(output).warnings).toHaveLength(1);
    },
  );

  test.skipIf(data === undefined)(
    "a truncated file is read as far as it goes, and says so",
    async () => {
      const path = copyOf("truncated.ptu", () => undefined);
      truncateSync(path, 1_000_001);
      for (const command of [["info"], ["replay"], ["measure", "rates"]]) {
        const read = await bellwether(...command, path);
        expect(read.exitCode, command.join(" ")).toBe(3);
        expect(read.errors).toContain(`bellwether: ${path}: the file is cut off`);
      }
      const { output } = await bellwether("info", path, "--json");
      const { tags, losses, warnings } = JSON.parse(output);
      expect(tags).toBeLessThan(305_565);
      expect(losses.length + warnings.length).toBeGreaterThan(0);
    },
  );

  test("a wrong command line exits with 2 and prints nothing on standard output", async () => {
    for (const wrong of [["nonsense"], ["info"], ["measure", "correlation", "x", "--bin", "16"]]) {
      const { exitCode, output, errors } = await bellwether(...wrong);
      expect([exitCode, output], wrong.join(" ")).toEqual([2, ""]);
      expect(errors).toMatch(/^error: /);
    }
  });
});
