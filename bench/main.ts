#!/usr/bin/env node
/** `npm run bench`: measures what the project promises, beside the same work in plain JavaScript and C++. */
import { existsSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { systemClock } from "../hal/clock.ts";
import { isLabError, messageOf } from "../hal/errors.ts";
import { chainFigures } from "./figures/chain.ts";
import { decodingFigures } from "./figures/decoding.ts";
import { keyFigures } from "./figures/key.ts";
import { measuringFigures } from "./figures/measuring.ts";
import { physicsFigures } from "./figures/physics.ts";
import { searchFigures } from "./figures/search.ts";
import { stationFigures } from "./figures/station.ts";
import type { Figure, Laboratory } from "./laboratory.ts";
import { CppPeer, cppSourceFolder } from "./peers/cpp-peer.ts";
import { type FigureLine, runRace } from "./race.ts";
import { dataSetLine, tableHeading, tableLine } from "./report.ts";

const figures: readonly Figure[] = [
  ...decodingFigures,
  ...measuringFigures,
  ...chainFigures,
  ...physicsFigures,
  ...searchFigures,
  ...keyFigures,
  ...stationFigures,
];

const help = `Usage: npm run bench -- [options]

  --json        one JSON object a line
  --only NAME   only figures whose name begins with NAME; can be repeated
  --skip NAME   without figures whose name begins with NAME; can be repeated
  --list        names the figures and says what each measures
  --help        this text

Figures whose name begins with station/ run a whole station for 40 s each; all others take a minute together.
BELLWETHER_DATA names the folder of real recordings. How to read a figure: bench/README.md.
Exit codes: 1 a contestant's result differs or a figure could not be measured; 2 the command line is wrong.
`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const remark = (text: string): void => void process.stderr.write(`${text}\n`);

/** The nearest folder above that holds package.json: the sources' home, from dist/ as well. */
function packageFolder(): URL {
  let folder = new URL("./", import.meta.url);
  while (!existsSync(new URL("package.json", folder))) folder = new URL("../", folder);
  return folder;
}

function remarkOnMachine(compiler: string | null): void {
  const [cpu] = cpus();
  const [load = 0] = loadavg();
  remark(`Node ${process.version}, V8 ${process.versions.v8}, ${cpu?.model} x ${cpus().length}`);
  if (compiler !== null) remark(compiler);
  if (load > 0.3 * availableParallelism()) {
    remark(
      `load average is ${load.toFixed(2)}: others are at work, figures are lower than they could be`,
    );
  }
}

function print(lines: readonly FigureLine[], isJson: boolean): void {
  for (const line of lines) {
    say(isJson ? JSON.stringify(line) : tableLine(line));
    if (!isJson && line.peer === undefined) say(dataSetLine(line));
  }
}

/** Gives a figure's lines, or why there are none. */
async function linesOf(
  figure: Figure,
  laboratory: Laboratory,
): Promise<readonly FigureLine[] | string> {
  if ("measure" in figure) return figure.measure(laboratory);
  const race = await figure.prepare(laboratory);
  return race === null ? "left out: its recording is not here (BELLWETHER_DATA)" : runRace(race);
}

async function measure(chosen: readonly Figure[], laboratory: Laboratory, isJson: boolean) {
  let failures = 0;
  for (const figure of chosen) {
    try {
      const lines = await linesOf(figure, laboratory);
      if (typeof lines === "string") remark(`${figure.name}: ${lines}`);
      else print(lines, isJson);
    } catch (error) {
      failures++;
      remark(`${figure.name}: ${messageOf(error)}`);
      if (!isLabError(error)) remark(String(error instanceof Error ? error.stack : error));
    }
  }
  return failures;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      only: { type: "string", multiple: true },
      skip: { type: "string", multiple: true },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    say(help);
    return 0;
  }
  if (values.list) {
    for (const { name, about } of figures) say(`${name.padEnd(28)} ${about}`);
    return 0;
  }
  const { only = [""], skip = [] } = values;
  const begins = (name: string) => (one: string) => name.startsWith(one);
  const chosen = figures.filter(({ name }) => only.some(begins(name)) && !skip.some(begins(name)));
  if (chosen.length === 0) {
    remark(`no figure is left by --only and --skip: see --list`);
    return 2;
  }
  const home = packageFolder();
  const isRaceChosen = chosen.some((figure) => "prepare" in figure);
  using cpp = isRaceChosen ? CppPeer.start(cppSourceFolder(home)) : null;
  remarkOnMachine(
    isRaceChosen ? (cpp?.description ?? "no C++ compiler: that peer is left out") : null,
  );
  const { BELLWETHER_DATA: dataFolder } = process.env;
  if (!values.json) say(tableHeading());
  const laboratory = { clock: systemClock, cpp, dataFolder, packageFolder: home };
  const failures = await measure(chosen, laboratory, values.json);
  return failures > 0 ? 1 : 0;
}

process.exitCode = await main();
