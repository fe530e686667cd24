import { afterEach, describe, expect, test } from "vitest";
import { cleanUpPrograms, failureOf, leavesNothing, start } from "./program.ts";
import { type Change, stationFile } from "./station-files.ts";

/** What is wrong, how it is written, and the whole sentence that says so; PATH stands for the station file, PORT for where a mock serves. */
const refusals: readonly (readonly [what: string, changes: readonly Change[], sentence: string])[] =
  [
    [
      "a port that does not exist",
      [["port: mock:bob-tagger", "port: serial:/dev/none"]],
      "bob/tagger: serial:/dev/none: there is no /dev/none; is the instrument plugged in and on? `ls /dev/serial/by-id` lists what is there",
    ],
    [
      "a device of another kind on the port",
      [
        [/ {6}source: # stands.*\n(?: {8}.*\n)+/, ""],
        ["port: mock:bob-tagger", "port: mock:source"],
      ],
      'bob/tagger: tagger: what is at PORT answered "S-Fifteen SPDCSDR, SPDCSDR-0007" to *IDN?, so it is no TDC1; correct the port of tagger',
    ],
    [
      "one port for two devices",
      [["port: mock:bob-tagger", "port: mock:source"]],
      "PATH:34:15: mock:source already belongs to nodes.alice.devices.source (line 18); an instrument has one owner",
    ],
    [
      "an unknown key",
      [["coincidenceWindowPs: 5000", "coincidenceWindowNs: 5"]],
      'PATH:47:5: unknown key "coincidenceWindowNs" in links.alice-bob; write coincidenceWindowPs: the value is in ps',
    ],
    [
      "two devices of one name",
      [["source: # stands", "tagger: # stands"]],
      'PATH:18:7: node alice has a second device called "tagger"; give it another name',
    ],
    [
      "a setting beyond its limit",
      [["settings: { currentMa: 30 }", "settings: { currentMa: 61 }"]],
      "PATH:21:32: currentMa 61 mA exceeds the limit currentMaMax 60 mA (line 22); change one of them",
    ],
  ];

describe("a run is refused in one sentence, and leaves nothing, for", () => {
  afterEach(cleanUpPrograms);

  test.each(refusals)(
    "%s",
    async (_what, changes, sentence) => {
      const path = stationFile(...changes);
      const program = start("run", path, "--no-page", "--json");
      expect(await program.ended()).toEqual({ exitCode: 1, signal: null });
      const said = failureOf(program).replace(/serial:\/dev\/pts\/\d+/, "PORT");
      expect(said).toBe(`bellwether: ${sentence.replace("PATH", path)}`);
      expect(program.errors).toBe(`${failureOf(program)}\n`);
      expect(program.output).toBe("");
      await leavesNothing(program);
    },
    40_000,
  );
});
