/**
 * Figures of the whole running station, mock lab, ports and all: the lag from a tag to its sifted bit, and the processor time of each
 * class of process. They come from `bellwether run STATION --json` as anybody would start it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Clock, sleep } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import type { Figure, Laboratory } from "../laboratory.ts";
import { cpuSecondsOf, type ProcessClass } from "../process-tree.ts";
import { type FigureLine, spreadOf } from "../race.ts";

const durationS = 40;
/** By then the clocks are found and keys flow; the last seconds are left out because things are stopping. */
const steadyFromS = 15;
const steadyToS = 38;
const sampleMs = 1000;
/** How long a station may take beyond its duration to start, stop and say what it did. */
const graceMs = 15_000;
/** 50 ms beyond the age of a block, 5 ms. */
const lagMsMax = 55;
const coresPerNodeMax = 0.5;
/** What a newcomer is promised, from the command to the first coincidences and to a key. */
const secondsToCoincidencesMax = 10;
const secondsToKeyMax = 60;

interface Summary {
  readonly nodes?: readonly unknown[];
  readonly lostTags?: number | null;
  readonly links?: readonly {
    readonly lagMs?: { readonly p50: number; readonly p99: number } | null;
    readonly pairs?: number;
    readonly qber?: number | { readonly value: number } | null;
    readonly secretBits?: number;
    readonly keysIdentical?: boolean;
  }[];
}

interface Sample {
  readonly atS: number;
  readonly cpuS: ReadonlyMap<ProcessClass, number>;
}

/** What a run left behind. */
interface RunRecord {
  readonly summary: Summary;
  /** Seconds from the command to the first event of each name. */
  readonly firstS: ReadonlyMap<string, number>;
  readonly samples: readonly Sample[];
}

const hasRun = (main: string): boolean =>
  existsSync(main) &&
  /^\s+run\b/m.test(execFileSync(process.execPath, [main, "--help"], { encoding: "utf8" }));

async function runStation(clock: Clock, main: string, station: string): Promise<RunRecord> {
  const options = ["run", station, "--duration", `${durationS}s`, "--json"];
  const child = spawn(process.execPath, [main, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  const startMs = clock.monotonicMs();
  let summary: Summary | null = null;
  let complaint = "";
  const firstS = new Map<string, number>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const event: unknown = line.startsWith("{") ? JSON.parse(line) : null;
    const name = nameOf(event);
    if (!firstS.has(name)) firstS.set(name, (clock.monotonicMs() - startMs) / 1e3);
    if (isSummary(event)) summary = event;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString("utf8")}`.slice(-2000);
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const samples = await sampleUntilEnd(clock, child, ended, startMs);
  const code = await ended;
  if (code !== 0 || summary === null) {
    throw new LabError(
      "command.benchmark",
      `bellwether run ${station} ended with code ${code} and ${summary === null ? "no" : "a"} summary: ${complaint.trim()}`,
    );
  }
  return { summary, firstS, samples };
}

const nameOf = (event: unknown): string =>
  typeof event === "object" && event !== null && "event" in event ? String(event.event) : "";
const isSummary = (event: unknown): event is Summary => nameOf(event) === "summary";

async function sampleUntilEnd(
  clock: Clock,
  child: ChildProcess,
  ended: Promise<unknown>,
  startMs: number,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  let isRunning = true;
  void ended.then(() => {
    isRunning = false;
  });
  while (isRunning) {
    const elapsedMs = clock.monotonicMs() - startMs;
    if (child.pid !== undefined && process.platform === "linux") {
      samples.push({ atS: elapsedMs / 1e3, cpuS: cpuSecondsOf(child.pid) });
    }
    const overtimeMs = elapsedMs - durationS * 1e3;
    if (overtimeMs > graceMs) child.kill(overtimeMs > 2 * graceMs ? "SIGKILL" : "SIGTERM");
    await Promise.race([sleep(clock, sampleMs), ended]);
  }
  return samples;
}

/** Cores that some classes used, second by second of the steady part; empty where there is no /proc. */
function coresOf(samples: readonly Sample[], classes: readonly ProcessClass[]): number[] {
  const steady = samples.filter(({ atS }) => atS >= steadyFromS && atS <= steadyToS);
  const used = ({ cpuS }: Sample): number =>
    classes.reduce((sum, name) => sum + (cpuS.get(name) ?? 0), 0);
  return steady.slice(1).map((sample, index) => {
    const before = steady[index] ?? sample;
    return (used(sample) - used(before)) / (sample.atS - before.atS);
  });
}

function linesOf(
  name: string,
  dataSet: string,
  { summary, firstS, samples }: RunRecord,
): FigureLine[] {
  const nodes = Math.max(1, summary.nodes?.length ?? 2);
  const [link] = summary.links ?? [];
  const outcome = {
    ...{ pairs: link?.pairs, secretBits: link?.secretBits, keysIdentical: link?.keysIdentical },
    lostTags: summary.lostTags,
  };
  const one = (value: number) => ({ median: value, min: value, max: value, rounds: 1 });
  const lag = (percentile: "p50" | "p99", target: number | null): FigureLine[] => {
    // A station that sifted nothing took for ever: null in JSON, and a target that is missed.
    const value = link?.lagMs?.[percentile] ?? Number.POSITIVE_INFINITY;
    const line = { name: `${name}/lag-${percentile}`, unit: "ms", target, dataSet };
    return [{ ...line, ...one(value), ...outcome }];
  };
  const first = (what: string, event: string, target: number): FigureLine => {
    const line = { name: `${name}/${what}`, unit: "s", target, dataSet };
    return { ...line, ...one(firstS.get(event) ?? Number.POSITIVE_INFINITY) };
  };
  const cpu = (
    part: string,
    classes: readonly ProcessClass[],
    share: number,
    target: number | null,
  ) => {
    const cores = coresOf(samples, classes).map((value) => value / share);
    if (cores.length === 0) return [];
    const line = { name: `${name}/cpu-${part}`, unit: "cores", target, dataSet };
    return [{ ...line, ...spreadOf(cores), rounds: cores.length }];
  };
  return [
    first("first-coincidences", "coincidences", secondsToCoincidencesMax),
    first("first-key", "key", secondsToKeyMax),
    ...lag("p50", null),
    ...lag("p99", lagMsMax),
    ...cpu("node", ["node", "port-host"], nodes, coresPerNodeMax),
    ...cpu("instruments", ["instrument"], 1, null),
    ...cpu("physics", ["physics"], 1, null),
  ];
}

function stationFigure(name: string, station: string, about: string, dataSet: string): Figure {
  return {
    ...{ name, about },
    measure: async ({ clock, packageFolder }: Laboratory) => {
      const main = fileURLToPath(new URL("dist/cli/main.js", packageFolder));
      const file = fileURLToPath(new URL(station, packageFolder));
      if (!hasRun(main)) return "left out: this build has no `bellwether run`";
      if (!existsSync(file)) return `left out: there is no ${station}`;
      return linesOf(
        name,
        `${dataSet}; ${durationS} s of ${station}`,
        await runStation(clock, main, file),
      );
    },
  };
}

/** The running stations' figures. */
export const stationFigures: readonly Figure[] = [
  stationFigure(
    "station/first-light",
    "stations/first-light.yaml",
    "the default station: lag from tag to sifted bit, cores of each part",
    "0.13 Mtags/s a node, half of them pairs",
  ),
  stationFigure(
    "station/one-mega",
    "bench/stations/one-mega.yaml",
    "the same at 1 Mtags/s a node",
    "1 Mtags/s a node, a fifth of them pairs",
  ),
];
