import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  cleanUpPrograms,
  failureOf,
  leavesNothing,
  type Program,
  scratchFolder,
  start,
  until,
} from "./program.ts";
import { firstLight } from "./station-files.ts";

/** What `info --json` says of a recording, as far as it is looked at here. */
interface RecordingInfo {
  readonly tags: number;
  readonly lostTags: number | null;
  readonly losses: readonly { readonly cause: string }[];
  readonly sorted: boolean;
  readonly warnings: readonly string[];
  readonly channels: Readonly<Record<string, number>>;
  readonly firstPs: string;
  readonly lastPs: string;
}

const folder = scratchFolder();

const record = (out: string, ...more: string[]): Program =>
  start("record", firstLight, out, "--node", "bob", "--json", ...more);

/** Exit code 3 is that of a recording that ends in the middle of a block. */
async function infoOf(path: string, exitCodes: readonly number[] = [0]): Promise<RecordingInfo> {
  const program = start("info", path, "--json");
  expect(exitCodes).toContain((await program.ended()).exitCode);
  return JSON.parse(program.output) as RecordingInfo;
}

/** What Bob's detectors click in the light of first-light: pairs, the way, the arms, efficiencies, dark counts. */
const singlesHz = [0.7, 0.71, 0.69, 0.7].map(
  (efficiency, channel) =>
    (250_000 * 10 ** -0.14 * efficiency) / 4 + ([210, 190, 240, 200][channel] ?? 0),
);

/** Whether a file system of its own can be had: only root may mount one. */
const canMount = process.platform === "linux" && process.getuid?.() === 0;

describe("a recording from the mock station", () => {
  afterEach(cleanUpPrograms);

  test("has the detectors' names, the note, the settings, and the rates that were there", async () => {
    const out = join(folder, "bob.bwt");
    const program = record(out, "--duration", "2s", "--note", "first try");
    expect(await program.ended()).toEqual({ exitCode: 0, signal: null });
    await leavesNothing(program);
    const info = await infoOf(out);
    expect(info).toMatchObject({ lostTags: 0, losses: [], sorted: true, warnings: [] });
    const seconds = Number(BigInt(info.lastPs) - BigInt(info.firstPs)) / 1e12;
    for (const [channel, rateHz] of singlesHz.entries()) {
      const count = info.channels[channel] ?? 0;
      // Six standard deviations; dead time takes less than a part in a thousand.
      const slack = 6 * Math.sqrt(rateHz * seconds) + 2e-3 * rateHz * seconds;
      expect(Math.abs(count - rateHz * seconds)).toBeLessThan(slack);
    }
    const told = start("info", out);
    await told.ended();
    expect(told.output).toContain("notes: first try");
    for (const name of ["h", "v", "d", "a"]) {
      expect(told.output).toMatch(new RegExp(`^ +\\d  ${name} `, "m"));
    }
    // The head of the file keeps the whole station as it was.
    const text = readFileSync(out, "latin1");
    for (const setting of ["s-fifteen/tdc1", "threshold", "currentMa"]) {
      expect(text).toContain(setting);
    }
    const measured = start("measure", "rates", out, "--json");
    await measured.ended();
    expect(measured.output).toContain(String(info.channels[0]));
  }, 60_000);

  test("ends in order at Ctrl-C, and leaves nothing on", async () => {
    const out = join(folder, "interrupted.bwt");
    const program = record(out);
    await until("tags on the disk", () => existsSync(out) && statSync(out).size > 200_000);
    program.killGroup("SIGINT");
    expect(await program.ended()).toEqual({ exitCode: 0, signal: null });
    expect(program.events.at(-1)?.event).toBe("summary");
    expect(await infoOf(out)).toMatchObject({ lostTags: 0, losses: [], warnings: [] });
    await leavesNothing(program);
  }, 60_000);

  test("is readable up to where it came when it is killed", async () => {
    const out = join(folder, "killed.bwt");
    const program = record(out);
    await until("tags on the disk", () => existsSync(out) && statSync(out).size > 200_000);
    program.kill("SIGKILL");
    await program.ended();
    await leavesNothing(program);
    // The kill may fall between two blocks, or into one.
    const info = await infoOf(out, [0, 3]);
    expect(info.tags).toBeGreaterThan(10_000);
    expect(info.sorted).toBe(true);
  }, 60_000);

  test.skipIf(!canMount)(
    "ends in one sentence when the disk is full, readable up to there",
    async () => {
      const disk = scratchFolder();
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=300k", "tmpfs", disk]);
      try {
        const out = join(disk, "full.bwt");
        const program = record(out);
        expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
        expect(failureOf(program)).toMatch(
          /^bellwether: \S+full\.bwt cannot be written any further: ENOSPC: .*can be read$/,
        );
        await leavesNothing(program);
        const info = await infoOf(out, [3]);
        expect(info.tags).toBeGreaterThan(10_000);
        expect(info.lostTags).toBeNull();
        expect(info.warnings).toHaveLength(1);
      } finally {
        execFileSync("umount", [disk]);
      }
    },
    60_000,
  );
});
