import { execFile } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PtuWriter } from "../../hal/tags/formats/ptu-writer.ts";

/** The package as npm packs it, in an empty folder with nothing but the dependencies that it names. */

const run = promisify(execFile);
const folder = mkdtempSync(join(realpathSync(tmpdir()), "bellwether-package-"));
const root = join(folder, "node_modules", "bellwether");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
}
const manifestOf = (path: string): Manifest =>
  JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as Manifest;

beforeAll(async () => {
  // The build is there already; the packed one must need no more than what it brings.
  const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder];
  const { stdout } = await run("npm", pack, { shell: process.platform === "win32" });
  await run("tar", ["-xzf", stdout.trim()], { cwd: folder });
  mkdirSync(dirname(root), { recursive: true });
  await run("mv", ["package", root], { cwd: folder });
  for (const name of Object.keys(manifestOf(root).dependencies)) {
    mkdirSync(dirname(join(folder, "node_modules", name)), { recursive: true });
    symlinkSync(realpathSync(join("node_modules", name)), join(folder, "node_modules", name));
  }
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
});

/** Every name that the exports allow, but those of threads and processes, which are started and not imported. */
function importable(): readonly string[] {
  return Object.entries(manifestOf(root).exports).flatMap(([name, target]) => {
    const [before, after] = target.split("*");
    if (before === undefined || after === undefined) return [name];
    return readdirSync(join(root, before))
      .filter((file) => file.endsWith(after))
      .map((file) => name.replace("*", file.slice(0, -after.length)))
      .filter((each) => !/-worker$|-process$|\/port-host$/.test(each));
  });
}

test("everything that the exports name can be imported, with types beside it", async () => {
  const names = importable().map((name) => name.replace(/^\./, "bellwether"));
  expect(names.length).toBeGreaterThan(50);
  const script = `for (const name of ${JSON.stringify(names)}) {
    await import(name).catch((error) => console.log(name, String(error)));
  }
  process.exit();`;
  const options = { cwd: folder, timeout: 60_000 };
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], options);
  expect(stdout).toBe("");
  for (const target of Object.values(manifestOf(root).exports)) {
    if (target.includes("*")) continue;
    expect(readFileSync(join(root, target.replace(/\.js$/, ".d.ts")), "utf8")).not.toBe("");
  }
});

test("its command reads a recording, and checks the station and the schema that it brings", async () => {
  const recording = join(folder, "two tags.ptu");
  const writer = await PtuWriter.create(recording, { comment: "", startUtcPs: 0n, inputs: 2 });
  await writer.write(BigInt64Array.of(1_000n, 2_000n), Uint8Array.of(0, 1));
  await writer.close();
  const { bellwether = "" } = manifestOf(root).bin;
  const program = join(root, bellwether);
  const say = async (...command: readonly string[]): Promise<string> => {
    const { stdout } = await run(process.execPath, [program, ...command], { cwd: folder });
    return stdout;
  };
  expect(JSON.parse(await say("info", recording, "--json"))).toMatchObject({ tags: 2 });
  const station = join(root, "stations", "first-light.yaml");
  expect(await say("station", "check", station)).toContain("no problem found");
  expect(readFileSync(join(root, "station.schema.json"), "utf8")).toContain("Bellwether station");
  expect(await say("run", "--help")).toContain("first-light");
});
