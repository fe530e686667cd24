import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { channelsArgument, delayArgument, positiveTimeArgument } from "../../cli/command.ts";
import { PtuWriter } from "../../hal/tags/formats/ptu-writer.ts";
import { psPerS } from "../../hal/units.ts";
import { seededRandom } from "../../mocks/seeded-random.ts";
import { bellwether } from "./command-line.ts";

/** Whatever is given: one sentence, the exit code that belongs to it, in bounded time. */

const folder = mkdtempSync(join(tmpdir(), "bellwether-nonsense-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const place = (name: string): string => join(folder, name);
const isRoot = process.getuid?.() === 0;

const good = place("good.ptu");
beforeAll(async () => {
  const writer = await PtuWriter.create(good, { comment: "", startUtcPs: 0n, inputs: 2 });
  const times = BigInt64Array.from({ length: 1_000 }, (_, index) => BigInt(index) * 1_000_000n);
  await writer.write(
    times,
    Uint8Array.from(times, (_, index) => index % 2),
  );
  await writer.close();
});

async function refused(...command: readonly string[]): Promise<string> {
  const { exitCode, output, errors } = await bellwether(...command);
  expect([command, output, exitCode]).toEqual([command, "", 1]);
  expect(errors).toMatch(/^bellwether: [^\n]+\n$/);
  return errors;
}

describe("files that are no recording", () => {
  test("random bytes behind the magic of a PTU file are refused", async () => {
    const noise = seededRandom(3).bytes(50_000);
    writeFileSync(place("noise.ptu"), Buffer.concat([Buffer.from("PQTTTR\0\0"), noise]));
    expect(await refused("info", place("noise.ptu"))).toContain("damaged, or no PTU file");
  });

  test("a recording cut anywhere in its head is refused, and later is read with a warning", async () => {
    const bytes = readFileSync(good);
    const headBytes = bytes.indexOf("Header_End") + 48;
    const cutAt = (length: number): string => {
      const path = place(`cut-${length}.ptu`);
      writeFileSync(path, bytes.subarray(0, length));
      return path;
    };
    const inHead = [1, 8, 63, headBytes - 1];
    await Promise.all(inHead.map((length) => refused("info", cutAt(length))));
    for (const length of [headBytes, headBytes + 1, bytes.length - 1]) {
      const { exitCode, output } = await bellwether("info", cutAt(length), "--json");
      const { warnings, losses } = JSON.parse(output);
      expect(exitCode).toBe(3);
      expect(warnings.join()).toMatch(/cut off/);
      expect(losses).toContainEqual(expect.objectContaining({ cause: "damaged-file" }));
    }
  });

  test.each(["info", "replay", "measure rates", "convert"])(
    "%s does not wait for the writer of a named pipe",
    async (command) => {
      const pipe = place(`pipe-${command.replace(" ", "-")}`);
      execFileSync("mkfifo", [pipe]);
      const out = command === "convert" ? [place("never.csv")] : [];
      expect(await refused(...command.split(" "), pipe, ...out)).toContain("pipe, no file");
    },
  );

  test("devices, symbolic links in a loop and links to nothing are refused", async () => {
    symlinkSync(place("loop-b"), place("loop-a"));
    symlinkSync(place("loop-a"), place("loop-b"));
    symlinkSync(place("nowhere"), place("dangling"));
    await Promise.all(
      ["/dev/zero", "/dev/null", place("loop-a"), place("dangling"), ""].map((path) =>
        refused("info", path),
      ),
    );
  });

  test.skipIf(isRoot)("a file without permission is refused", async () => {
    writeFileSync(place("closed.ptu"), readFileSync(good), { mode: 0 });
    expect(await refused("info", place("closed.ptu"))).toContain("cannot be opened");
  });

  test("names with blanks, line ends and control characters are read, and shown without effect", async () => {
    for (const name of ["a b.ptu", "a\nb.ptu", "é-光子.ptu", "\u001b[31mred.ptu"]) {
      writeFileSync(place(name), readFileSync(good));
      const { exitCode, output } = await bellwether("info", place(name));
      expect(exitCode).toBe(0);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there.
      expect(output.split("\n")[0]).toMatch(/^[^\u0000-\u001f]+\.ptu$/);
    }
  });
});

describe("options that make no sense", () => {
  const refusedBy = (read: (text: string) => unknown, texts: readonly string[]): void => {
    for (const text of texts) expect(() => read(text), text).toThrow(InvalidArgumentError);
  };

  test("times without a unit, finer than 1 ps, not above zero or too long are refused", () => {
    refusedBy(positiveTimeArgument, ["0", "0ps", "-1ns", "0.5ps", "1e3ns", "", "99999999999s"]);
    expect(positiveTimeArgument("2500000s")).toBe(2_500_000n * psPerS);
  });

  test("delays are refused unless they name one channel and one time", () => {
    const read = (text: string): unknown => delayArgument(text, new Map());
    refusedBy(read, ["garbage", "1=", "=1ns", "1=1ns=2", "1=5", "1=99999999999999999999s"]);
    expect(read("1=-23.94ns")).toEqual(new Map([[1, -23_940n]]));
  });

  test("channels beyond 255, twice the same, or one alone are refused", () => {
    refusedBy(channelsArgument, ["0,0", "0", "0,300", ",", "0,-1", "h,h"]);
    expect(channelsArgument("0,Input 2")).toEqual([0, "Input 2"]);
  });

  test("a mistake of the command line says which option, and ends with code 2", async () => {
    const mistakes = [
      ["correlation", "--bin", "0"],
      ["coincidences", "--channels", "0,1,2"],
    ] as const;
    for (const [measurement, option, value] of mistakes) {
      const command = ["measure", measurement, good, option, value];
      const { exitCode, output, errors } = await bellwether(...command);
      expect([exitCode, output]).toEqual([2, ""]);
      expect(errors).toMatch(/^error: [^\n]+\n\(bellwether --help lists the commands\)\n$/);
      expect(errors).toContain(option);
    }
  });

  test("what cannot be measured on this recording is refused in one sentence", async () => {
    await refused("measure", "coincidences", good, "--channels", "0,Input 1");
    await refused("measure", "coincidences", good, "--spacing", "1ps");
    await refused("measure", "correlation", good, "--bin", "1ps", "--range", "1s");
    await refused("measure", "correlation", good, "--start", "77");
    await refused("measure", "delay", good, "--start", "0", "--stop", "0");
    await refused("convert", good, good);
    await refused("convert", good, place("no/such/folder.csv"));
  });

  test("a range that is no multiple of the bin is covered by one bin more", async () => {
    const { output } = await bellwether(
      ...["measure", "correlation", good, "--bin", "3ns", "--range", "10ns", "--json"],
    );
    expect(JSON.parse(output)).toMatchObject({ binPs: "3000", fromPs: "-10000" });
    expect(JSON.parse(output).counts).toHaveLength(7);
  });

  test("more pairs than can be compared in a minute are refused before the work begins", async () => {
    const path = place("dense.ptu");
    const writer = await PtuWriter.create(path, { comment: "", startUtcPs: 0n, inputs: 2 });
    const times = BigInt64Array.from({ length: 600_000 }, (_, index) => BigInt(index) * 10_000n);
    await writer.write(
      times,
      Uint8Array.from(times, (_, index) => index % 2),
    );
    await writer.close();
    const command = ["measure", "coincidences", path, "--window", "1000s"];
    expect(await refused(...command)).toContain("pairs of tags, too many to compare");
  });
});

test.skipIf(process.platform !== "linux")("a full disk behind the output is a failure", () => {
  const program = `node dist/cli/main.js info "${good}" > /dev/full`;
  const status = execFileSync("sh", ["-c", `${program} 2>"${place("said")}"; echo $?`]);
  expect(String(status).trim()).toBe("1");
  expect(readFileSync(place("said"), "utf8")).toContain("the output cannot be written");
});
