import { afterEach, expect, test } from "vitest";
import { cleanUpPrograms, failureOf, leavesNothing, type Program, start } from "./program.ts";
import { dim, stationFile } from "./station-files.ts";

afterEach(cleanUpPrograms);

/** Processes of one kind, in the order in which they were started: Alice's before Bob's, taggers before the source. */
const processes = ({ alive }: Program, part: string): readonly number[] =>
  alive
    .filter(({ command }) => command.includes(part))
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);

const deaths: readonly (readonly [
  what: string,
  part: string,
  index: number,
  sentence: RegExp,
  isDark: boolean,
])[] = [
  // Nothing that this program says reaches a source that is gone.
  [
    "the source",
    "mocks/instrument-process",
    2,
    /alice\/source at mock:source: .+(start again|open it again)$/,
    false,
  ],
  ["the physics process", "mocks/physics/", 0, /the mock physics process ended by SIGKILL/, true],
  [
    "Bob's port host",
    "ports/port-host",
    1,
    /bob.*: the port host ended by itself \(SIGKILL\)/,
    true,
  ],
];

test.each(deaths)(
  "%s",
  async (_what, part, index, sentence, isDark) => {
    const program = start("run", stationFile(dim), "--no-page", "--json");
    await program.saw("source-on");
    const pid = processes(program, part)[index];
    if (pid === undefined) throw new Error(`no ${part} of number ${index}`);
    process.kill(pid, "SIGKILL");
    expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
    const said = failureOf(program);
    expect(said.split("\n")).toHaveLength(1);
    expect(said).toMatch(sentence);
    expect(program.all("stopped").map((event) => event.isDark)).toEqual([isDark]);
    expect(program.errors.includes("alice/source: IT MAY STILL BE ON")).toBe(!isDark);
    await leavesNothing(program);
  },
  60_000,
);
