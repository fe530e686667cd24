import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { NEVER } from "rxjs";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { CommandContext } from "../../cli/command.ts";
import { recordCommand } from "../../cli/commands/record.ts";
import { createPrinter } from "../../cli/print.ts";
import { openRecordingSession } from "../../cli/recording-session.ts";
import type { StationSession } from "../../cli/station-session.ts";
import { systemClock } from "../../hal/clock.ts";
import { silentLogger } from "../../hal/log.ts";
import { systemRandom } from "../../hal/random.ts";
import type { TagStream } from "../../hal/tags/tag-stream.ts";

const { BELLWETHER_DATA: data } = process.env;
const folder = mkdtempSync(join(tmpdir(), "bellwether-record-"));
const stationPath = join(folder, "station.yaml");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stationText = `station: bench
nodes:
  alice:
    devices:
      tagger: { driver: s-fifteen/tdc1, port: "tcp:127.0.0.1:9" }
      other: { driver: s-fifteen/tdc1, port: "tcp:127.0.0.1:10" }
`;

/** What a run of the command did to the station and to the terminal. */
interface Trace {
  readonly lines: string[];
  readonly calls: string[];
  readonly exitCodes: (number | undefined)[];
}

async function record(stream: TagStream, commandArguments: readonly string[]): Promise<Trace> {
  const trace: Trace = { lines: [], calls: [], exitCodes: [] };
  const sink = { write: (text: string) => trace.lines.push(text) };
  const context: CommandContext = {
    printer: createPrinter({ output: sink, errors: { write: () => 0 }, environment: {} }),
    ...{ clock: systemClock, random: systemRandom, logger: silentLogger, environment: {} },
    signal: new AbortController().signal,
    run: async (work) => {
      trace.exitCodes.push(await work());
    },
  };
  const program = new Command().exitOverride();
  recordCommand((_station, { node, device }) => {
    trace.calls.push(`open ${node}/${device}`);
    return Promise.resolve(fakeSession(stream, trace.calls));
  })(program, context);
  await program.parseAsync(["record", ...commandArguments], { from: "user" });
  return trace;
}

function fakeSession(stream: TagStream, calls: string[]): StationSession {
  const note = (call: string): Promise<void> => {
    calls.push(call);
    return Promise.resolve();
  };
  return {
    tagger: {
      ...{ name: "tagger", driver: "s-fifteen/tdc1", role: "time-tagger" },
      identity: { vendor: "", model: "", serialNumber: null, firmware: null, raw: "" },
      capabilities: { inputs: 4, tickPs: stream.tickPs, marksLossInStream: false },
      ...{ state$: NEVER, health$: NEVER },
      startTagging: () => note("start").then(() => stream),
      stopTagging: () => note("stop"),
      close: () => note("close tagger"),
    },
    takeSnapshot: () => ({ station: "bench", file: stationPath, takenAt: "", settings: [] }),
    close: () => note("close"),
  };
}

describe.skipIf(data === undefined)("record", () => {
  beforeEach(() => writeFileSync(stationPath, stationText));
  const path = `${data}/libpicoquant/hydraharp/v30_t2.ptu`;

  test("writes every tag with its note and snapshot, then stops the tagger and closes the station", async () => {
    const out = join(folder, "run.bwt");
    const source = await openRecordingSession(path);
    const { calls, lines, exitCodes } = await record(source.recording.stream, [
      ...[stationPath, out, "--device", "tagger", "--note", "polarizer at 45 degrees", "--json"],
    ]);
    expect(calls).toEqual(["open alice/tagger", "start", "stop", "close"]);
    expect(exitCodes).toEqual([0]);
    const summary = JSON.parse(lines.at(-1) ?? "");
    expect(summary).toMatchObject({ event: "summary", out, tags: 305_565, tagsLeftOut: 0 });
    const written = await openRecordingSession(out);
    expect(written.recording.head.settings).toMatchObject({
      notes: "polarizer at 45 degrees",
      snapshot: { station: "bench" },
    });
    expect(await written.recording.facts()).toMatchObject({ tags: 305_565, lostTags: 0 });
  });

  test("ends after its duration although the tagger goes on", async () => {
    const out = join(folder, "short.bwt");
    const source = await openRecordingSession(path);
    const endless = { ...source.recording.stream, blocks$: NEVER };
    const { calls } = await record(endless, [
      ...[stationPath, out, "--device", "tagger", "--duration", "50ms"],
    ]);
    expect(calls.slice(-2)).toEqual(["stop", "close"]);
    expect(await (await openRecordingSession(out)).recording.facts()).toMatchObject({ tags: 0 });
  });

  test("opens nothing when the file exists, or when it is not clear which tagger is meant", async () => {
    const source = await openRecordingSession(path);
    const { stream } = source.recording;
    await expect(record(stream, [stationPath, stationPath])).rejects.toMatchObject({
      code: "file.exists",
    });
    await expect(record(stream, [stationPath, join(folder, "x.bwt")])).rejects.toThrow(
      "say which time tagger: --node alice --device tagger, or --node alice --device other",
    );
    await expect(
      record(stream, [stationPath, join(folder, "x.bwt"), "--device", "none"]),
    ).rejects.toMatchObject({ code: "command.choose" });
  });
});
