import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../hal/clock.ts";
import { cleanUpPrograms, failureOf, leavesNothing, type Program, start } from "./program.ts";
import { dim, stationFile } from "./station-files.ts";

afterEach(cleanUpPrograms);

/** The mock instruments in the order of the station file, in which they were started. */
const mockInstruments = ({ alive }: Program): readonly number[] =>
  alive
    .filter(({ command }) => command.includes("mocks/instrument-process.js"))
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);

test.each([
  [0, "alice-tagger"],
  [1, "bob-tagger"],
])(
  "mock instrument %i is killed: the run says that %s is gone, and ends",
  async (index, name) => {
    const program = start("run", stationFile(dim), "--no-page", "--json");
    await program.saw("source-on");
    const pid = mockInstruments(program)[index];
    if (pid === undefined) throw new Error("no such instrument");
    const killedMs = systemClock.monotonicMs();
    process.kill(pid, "SIGKILL");
    expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
    expect(systemClock.monotonicMs() - killedMs).toBeLessThan(15_000);
    expect(failureOf(program)).toMatch(new RegExp(`^bellwether: [^\\n]*${name}[^\\n]*$`));
    // The light, which was on, is off.
    expect(program.all("source-off")).toHaveLength(1);
    await leavesNothing(program);
  },
  60_000,
);
