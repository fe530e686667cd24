import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { release } from "node:os";
import { basename, join } from "node:path";
import { type Command, Option } from "commander";
import { LabError, messageOf } from "../../hal/errors.ts";
import { toJson } from "../../hal/log.ts";
import { psPerS } from "../../hal/units.ts";
import { formatQuantity } from "../../web/quantity.ts";
import type { CommandContext } from "../command.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { type HealthCheck, runHealthChecks } from "../health-checks.ts";
import type { Printer } from "../print.ts";
import { withoutSecrets } from "../redaction.ts";
import { type ArchiveFile, createTarGz } from "../tar-archive.ts";
import { findSerialPorts } from "./devices.ts";

interface DoctorOptions {
  readonly json?: true;
  readonly bundle?: string;
  readonly station: readonly string[];
  readonly log: readonly string[];
}

/** A bundle is mailed: the end of a log tells most. */
const logBytesMax = 4 * 2 ** 20;

const filesOption = (flags: string, description: string): Option =>
  new Option(flags, description)
    .argParser((path: string, previous: readonly string[]) => [...previous, path])
    .default([], "none");

/** Adds `doctor`: is this machine fit, and what to do where it is not. */
export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command("doctor")
    .description("check this machine; exit code 3 when something is to be done")
    .option(
      "--bundle <out.tgz>",
      "also write what a bug report needs: versions, checks, logs, station",
    )
    .addOption(filesOption("--station <file>", "station file for the bundle; may be repeated"))
    .addOption(filesOption("--log <file>", "log file for the bundle; may be repeated"))
    .option("--json", "one JSON object on standard output")
    .action((options: DoctorOptions) => context.run(() => doctor(options, context)));
}

function doctor(options: DoctorOptions, context: CommandContext): Promise<ExitCode | undefined> {
  const { clock, printer } = context;
  const serialPaths = findSerialPorts().map(({ path }) => path);
  const checks = runHealthChecks({ clock, folder: process.cwd(), serialPaths });
  const isOk = checks.every((check) => check.isOk !== false);
  const report = { ok: isOk, checks, versions: versions() };
  if (!options.json) printChecks(checks, printer);
  if (options.bundle !== undefined) bundle(options.bundle, report, options, context);
  if (options.json) printer.json({ ...report, bundle: options.bundle ?? null });
  return Promise.resolve(isOk ? undefined : exitCodes.problemsFound);
}

/** Who sends a bundle sees what is in it before it is written. @throws LabError `file.*`. */
function bundle(
  path: string,
  report: unknown,
  options: DoctorOptions,
  { clock, printer }: CommandContext,
): void {
  const files = bundleFiles(report, options);
  if (!options.json) {
    printer.line("\nthe bundle holds, with values that look secret left out:");
    for (const { name, bytes } of files) {
      printer.line(`  ${name}  ${formatQuantity(bytes.length, "B")}`);
    }
  }
  const archive = createTarGz(files, Number(clock.utcPs() / psPerS));
  try {
    writeFileSync(path, archive, { flag: "wx" });
  } catch (cause) {
    throw unwritable(path, cause);
  }
  if (!options.json) printer.line(`wrote ${path}`);
}

function printChecks(checks: readonly HealthCheck[], printer: Printer): void {
  const verdict = ({ isOk }: HealthCheck): string =>
    isOk === null ? "–" : isOk ? "ok" : printer.alarm("problem");
  printer.table(
    ["check", "", ""],
    checks.map((check) => [check.name, verdict(check), check.message]),
  );
}

/** The dependencies whose version a bug may hang on. */
const dependencies = ["serialport", "@serialport/bindings-cpp", "koffi", "rxjs", "zod", "ws"];

const versions = (): Readonly<Record<string, string>> => {
  const packageFile = new URL("../../../package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(packageFile, "utf8")) as { readonly version: string };
  const { node, v8, uv } = process.versions;
  return {
    ...{ bellwether: version, node, v8, uv },
    ...{ platform: process.platform, release: release(), architecture: process.arch },
    ...Object.fromEntries(dependencies.map((name) => [name, versionOf(name)])),
  };
};

/** Some packages hide their package.json from importers: it is found beside their code. */
function versionOf(name: string): string {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const folder of folders) {
    try {
      const text = readFileSync(join(folder, name, "package.json"), "utf8");
      return (JSON.parse(text) as { readonly version: string }).version;
    } catch {
      // Not in this folder; the next one may hold it.
    }
  }
  return "not found";
}

/** Gives the files of the bundle: the report, the stations, the ends of the logs. @throws LabError `file.*`. */
const bundleFiles = (report: unknown, { station, log }: DoctorOptions): readonly ArchiveFile[] => [
  { name: "doctor.json", bytes: Buffer.from(`${toJson(report, 2)}\n`) },
  ...station.map((path, index) => publicText(`stations/${index + 1}`, path)),
  ...log.map((path, index) => publicText(`logs/${index + 1}`, path)),
];

const publicText = (prefix: string, path: string): ArchiveFile => ({
  name: `${prefix}-${asciiName(path)}`,
  bytes: Buffer.from(withoutSecrets(readEnd(path, logBytesMax).toString("utf8"))),
});

function unwritable(path: string, cause: unknown): LabError {
  const isTaken = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
  return isTaken
    ? new LabError("file.exists", `${path} exists already; choose another name`, { cause })
    : new LabError("file.unwritable", `${path} cannot be written: ${messageOf(cause)}`, { cause });
}

const asciiName = (path: string): string =>
  basename(path)
    .replaceAll(/[^\w.-]/g, "_")
    .slice(-80);

function readEnd(path: string, bytesMax: number): Buffer {
  try {
    if (!statSync(path).isFile()) throw new LabError("file.not-a-file", `${path} is not a file`);
    return readTail(path, bytesMax);
  } catch (cause) {
    if (cause instanceof LabError) throw cause;
    throw unreadable(path, cause);
  }
}

/** Reads the last bytes alone: a log may be larger than the memory. */
function readTail(path: string, bytesMax: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.min(fstatSync(file).size, bytesMax));
    const from = fstatSync(file).size - bytes.length;
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
  } finally {
    closeSync(file);
  }
}

const unreadable = (path: string, cause: unknown): LabError =>
  new LabError("file.unreadable", `${path} cannot be read: ${messageOf(cause)}`, { cause });
