import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PtuWriter } from "../../hal/tags/formats/ptu-writer.ts";

const run = promisify(execFile);
const readme = readFileSync("README.md", "utf8");
/** Inside the package, so that it finds itself by its own name. */
const folder = join("artifacts", "readme");
const recording = join(folder, "three-pairs.ptu");

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  const writer = await PtuWriter.create(recording, {
    ...{ comment: "", startUtcPs: 0n, inputs: 2 },
  });
  const times = BigInt64Array.of(1_000n, 1_400n, 50_000n, 50_600n, 90_000n, 90_499n, 91_000n);
  await writer.write(times, Uint8Array.of(0, 1, 0, 1, 0, 1, 1));
  await writer.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the lines of library use run as they stand, and count right", async () => {
  const [, lines = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const { outputText } = ts.transpileModule(lines, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  const script = join(folder, "lines.mjs");
  writeFileSync(script, outputText);
  const { stdout } = await run(process.execPath, [script, recording], { timeout: 60_000 });
  // Differences are 400, 600, 499 and 1,000 ps; a window of 1 ns holds [-500, 500).
  expect(stdout).toMatch(/^7 \{/);
  expect(stdout).toContain("coincidences: 2,");
});

test("the excerpt of the default station is part of it", () => {
  const [, excerpt = "none"] = /```yaml\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(readFileSync("stations/first-light.yaml", "utf8")).toContain(excerpt);
});

const { BELLWETHER_DATA: data } = process.env;

test.skipIf(data === undefined)(
  "the replay that is shown is what the recording gives",
  async () => {
    const [, name = "", range = "", shown = ""] =
      /\$ npx bellwether replay (\S+) --range (\S+)\n([\s\S]*?)```/.exec(readme) ?? [];
    const path = join(data ?? "", "ETA", name);
    // What is shown was drawn on 80 columns; in a pipe there are 100, and the bins are said.
    const command = ["dist/cli/main.js", "replay", path, "--range", range, "--bin", "940ps"];
    const { stdout } = await run(process.execPath, command, { timeout: 60_000 });
    const said = (text: string): readonly string[] => text.split("\n").slice(1);
    expect(said(stdout)).toEqual(said(shown));
  },
);

test("every command in the table is there, and every option that is named", async () => {
  const program = "dist/cli/main.js";
  const { stdout: help } = await run(process.execPath, [program, "--help"]);
  const commands = ["run", "replay", "info", "measure", "record", "convert", "devices", "doctor"];
  for (const command of [...commands, "station", "mocks"]) {
    expect(readme).toMatch(new RegExp(`\`${command}[ \`]`));
    expect(help).toMatch(new RegExp(`^  ${command} `, "m"));
  }
  const { stdout: runHelp } = await run(process.execPath, [program, "run", "--help"]);
  for (const option of ["--node", "--duration", "--json"]) expect(runHelp).toContain(option);
  const coincidences = ["measure", "coincidences", "--help"];
  const { stdout: measureHelp } = await run(process.execPath, [program, ...coincidences]);
  for (const option of ["--channels", "--window", "--delay", "--csv"]) {
    expect(measureHelp).toContain(option);
  }
});
