// Builds everything that needs building: TypeScript to dist/, each kernel folder to one WebAssembly
// module beside its source and in dist/, the page and its assets. Unchanged kernels are not rebuilt
// and tsc is incremental, so `npm start` costs about a second when nothing changed.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/**
 * One module a folder that owns kernels. Bases are disjoint so that all modules can share one memory:
 * 64 KiB of static data each; everything from 1 MiB up is given out by hal/tags/tag-memory.ts.
 */
const kernelModules = [
  { folder: "hal/tags/kernels", memoryBase: 0x1_0000 },
  { folder: "stack/physical/kernels", memoryBase: 0x2_0000 },
  { folder: "stack/application/qkd/kernels", memoryBase: 0x3_0000 },
  { folder: "mocks/physics/kernels", memoryBase: 0x4_0000 },
];
/** Files that go to dist/ as they are. */
const assets = [
  ...["index.html", "icon.svg", "style.css", "cards.css", "details.css", "far-view.css"].map(
    (name) => [`web/${name}`, `dist/web/${name}`],
  ),
  ["node_modules/uplot/dist/uPlot.esm.js", "dist/web/uplot.js"],
  ["node_modules/uplot/dist/uPlot.min.css", "dist/web/uplot.css"],
];

const run = (tool, toolArguments) =>
  execFileSync(join("node_modules", ".bin", tool), toolArguments, {
    stdio: "inherit",
    shell: process.platform === "win32",
  });
const modifiedMs = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

function buildKernels({ folder, memoryBase }) {
  const sources = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".ts"))
        .map((name) => join(folder, name))
    : [];
  if (sources.length === 0) return;
  const output = join(folder, "kernels.wasm");
  const inputs = [...sources, "scripts/build.mjs", "package-lock.json"];
  if (modifiedMs(output) <= Math.max(...inputs.map(modifiedMs))) {
    run("asc", [
      ...[join(folder, "index.ts"), "--outFile", output],
      ...["-O3", "--converge", "--noAssert", "--runtime", "stub", "--memoryBase", `${memoryBase}`],
      ...["--importMemory", "--sharedMemory", "--initialMemory", "16", "--maximumMemory", "65536"],
      ...["--enable", "simd", "--enable", "threads", "--enable", "bulk-memory"],
    ]);
  }
  mkdirSync(join("dist", folder), { recursive: true });
  cpSync(output, join("dist", output));
}

for (const kernelModule of kernelModules) buildKernels(kernelModule);
run("tsc", [
  "-p",
  "tsconfig.build.json",
  "--incremental",
  "--tsBuildInfoFile",
  "dist/.tsbuildinfo",
]);
if (existsSync("web/main.ts")) run("tsc", ["-p", "web/tsconfig.json", "--noEmit", "false"]);
mkdirSync("dist/web", { recursive: true });
for (const [from, to] of assets) if (existsSync(from)) cpSync(from, to);
