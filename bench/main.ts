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
];

const help = `Usage: npm run bench -- [options]

  --json        one JSON object a line
  --only NAME   only figures whose name begins with NAME; can be repeated
  --list        names the figures and says what each measures
  --help        this text

Figures whose name begins with station/ run the whole default station for 40 s each; they are measured only
when asked for by --only station. BELLWETHER_DATA names the folder of real recordings. How to read a figure:
bench/README.md. Exit code 1: a contestant's result differs or a figure could not be measured.
`;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const remark = (text: string): void => void process.stderr.write(`${text}\n`);

/** The nearest folder above that holds package.json: the sources' home, from dist/ as well. */
function packageFolder(): URL {
  let folder = new URL("./", import.meta.url);
  while (!existsSync(new URL("package.json", folder))) folder = new URL("../", folder);
  return folder;
}

function remarkOnMachine(cpp: CppPeer | null): void {
  const [cpu] = cpus();
  const [load = 0] = loadavg();
  remark(`Node ${process.version}, V8 ${process.versions.v8}, ${cpu?.model} x ${cpus().length}`);
  remark(cpp === null ? "no C++ compiler: that peer is left out" : cpp.description);
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

async function measure(chosen: readonly Figure[], laboratory: Laboratory, isJson: boolean) {
  let failures = 0;
  for (const { name, prepare } of chosen) {
    try {
      const race = await prepare(laboratory);
      if (race === null) remark(`${name}: left out, its recording is not here (BELLWETHER_DATA)`);
      else print(await runRace(race), isJson);
    } catch (error) {
      failures++;
      remark(`${name}: ${messageOf(error)}`);
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
  const { only } = values;
  const chosen = figures.filter(({ name }) =>
    only === undefined ? !name.startsWith("station/") : only.some((one) => name.startsWith(one)),
  );
  if (chosen.length === 0) {
    remark(`no figure begins with ${only?.join(" or ")}: see --list`);
    return 2;
  }
  using cpp = CppPeer.start(cppSourceFolder(packageFolder()));
  remarkOnMachine(cpp);
  const { BELLWETHER_DATA: dataFolder } = process.env;
  if (!values.json) say(tableHeading());
  const failures = await measure(chosen, { clock: systemClock, cpp, dataFolder }, values.json);
  return failures > 0 ? 1 : 0;
}

process.exitCode = await main();
