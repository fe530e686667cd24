import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

/**
 * The layer rules are lint rules; a lint rule that matches nothing is silent. Each line here is an import
 * that must be refused, or allowed, when it stands in that folder: the canary of the rules.
 */
const refused: readonly (readonly [file: string, imported: string])[] = [
  ["hal/canary.ts", "../drivers/registry.ts"],
  ["hal/tags/canary.ts", "../../mocks/physics/polarization.ts"],
  ["hal/tags/canary-serial.ts", "serialport"],
  ["hal/links/canary.ts", "../../stack/classical/channel.ts"],
  ["drivers/s-fifteen/tdc1/canary.ts", "../../../stack/link/pair-records.ts"],
  ["drivers/s-fifteen/tdc1/canary-mock.ts", "../../../mocks/seeded-random.ts"],
  ["drivers/s-fifteen/tdc1/canary-serial.ts", "serialport"],
  ["stack/classical/canary.ts", "../physical/clock-model.ts"],
  ["stack/physical/canary.ts", "../link/pair-records.ts"],
  ["stack/physical/canary-mock.ts", "../../mocks/seeded-random.ts"],
  ["stack/link/canary.ts", "../application/qkd/sift.ts"],
  ["stack/link/canary-driver.ts", "../../drivers/registry.ts"],
  ["stack/application/qkd/canary.ts", "../../../cli/print.ts"],
  ["stack/canary.ts", "../drivers/registry.ts"],
  ["calibration/canary.ts", "../stack/link/pair-records.ts"],
  ["mocks/canary.ts", "../drivers/s-fifteen/tdc1/protocol.ts"],
  ["mocks/instruments/canary.ts", "../physics/oracle.ts"],
  ["mocks/ports/canary.ts", "../../stack/classical/channel.ts"],
  ["cli/canary.ts", "../bench/main.ts"],
  ["cli/commands/canary.ts", "../../mocks/physics/oracle.ts"],
  ["web/canary.ts", "../hal/units.ts"],
];
const allowed: readonly (readonly [file: string, imported: string])[] = [
  ["hal/links/serial.ts", "@serialport/stream"],
  ["stack/link/canary-allowed.ts", "../physical/clock-model.ts"],
  ["stack/application/qkd/canary-allowed.ts", "../../link/pair-records.ts"],
  ["drivers/s-fifteen/tdc1/canary-allowed.ts", "../../../hal/units.ts"],
  ["mocks/ports/pty.ts", "koffi"],
  ["test/canary.ts", "../mocks/physics/oracle.ts"],
];

let folder: string;
let report: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bellwether-layers-"));
  copyFileSync("biome.json", join(folder, "biome.json"));
  for (const [file, imported] of [...refused, ...allowed]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), `import { a } from "${imported}";\nexport const b = a;\n`);
  }
  report = spawnSync(
    join(process.cwd(), "node_modules/.bin/biome"),
    ["lint", "--max-diagnostics=none", "--reporter=github", "."],
    { cwd: folder, encoding: "utf8" },
  ).stdout;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isRefused = (file: string): boolean =>
  report
    .split("\n")
    .some((line) => line.includes("noRestrictedImports") && line.includes(`/${file},`));

test.each(refused)("%s may not import %s", (file) => {
  expect(isRefused(file), report).toBe(true);
});

test.each(allowed)("%s may import %s", (file) => {
  expect(isRefused(file), report).toBe(false);
});

test("the linter sees every source file of the tree", () => {
  const tracked = execFileSync("git", ["ls-files", "*.ts"], { encoding: "utf8" })
    .split("\n")
    .filter((file) => file !== "" && !file.includes("/kernels/"));
  const { stdout, stderr } = spawnSync(
    "node_modules/.bin/biome",
    ["lint", "--reporter=summary", "."],
    {
      encoding: "utf8",
    },
  );
  const checked = Number(/Checked (\d+) files/.exec(stdout + stderr)?.[1]);
  expect(checked).toBeGreaterThanOrEqual(tracked.length);
});
