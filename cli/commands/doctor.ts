import { readFileSync, statSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import type { Command } from "commander";
import { LabError, messageOf } from "../../hal/errors.ts";
import { toJson } from "../../hal/log.ts";
import { psPerS } from "../../hal/units.ts";
import type { CommandContext } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { type HealthCheck, runHealthChecks } from "../health-checks.ts";
import { type ArchiveFile, createTarGz } from "../tar-archive.ts";
import { findSerialPorts } from "./devices.ts";

interface DoctorOptions {
  readonly json?: true;
  readonly bundle?: string;
  readonly station?: string;
  readonly log: readonly string[];
}

/** A bundle is mailed: the end of a log tells most. */
const logBytesMax = 4 * 2 ** 20;
const secretKey =
  /^(\s*-?\s*["']?[\w.-]*(secret|password|passphrase|token|credential|privateKey)[\w.-]*["']?\s*:).*$/gim;

/** Adds `doctor`: is this machine fit, and what to do where it is not. */
export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command("doctor")
    .description("check this machine; exit code 3 when something is to be done")
    .option(
      "--bundle <out.tgz>",
      "also write what a bug report needs: versions, checks, logs, station",
    )
    .option("--station <file>", "station file for the bundle; secrets are left out")
    .option(
      "--log <file>",
      "log file for the bundle; may be repeated",
      (path: string, previous: readonly string[]) => [...previous, path],
      [],
    )
    .option("--json", "one JSON object on standard output")
    .action((options: DoctorOptions) =>
      context.run(async () => {
        const checks = runHealthChecks({
          clock: context.clock,
          folder: process.cwd(),
          serialPaths: findSerialPorts().map(({ path }) => path),
        });
        const isOk = checks.every((check) => check.isOk !== false);
        const report = { ok: isOk, checks, versions: versions() };
        if (options.bundle !== undefined) writeBundle(options.bundle, report, options, context);
        if (options.json) context.printer.json({ ...report, bundle: options.bundle ?? null });
        else printChecks(checks, options, context);
        return await Promise.resolve(isOk ? undefined : exitCodes.problemsFound);
      }),
    );
}

function printChecks(
  checks: readonly HealthCheck[],
  { bundle }: DoctorOptions,
  { printer }: CommandContext,
): void {
  const verdict = ({ isOk }: HealthCheck): string =>
    isOk === null ? "–" : isOk ? "ok" : printer.alarm("problem");
  printer.table(
    ["check", "", ""],
    checks.map((check) => [check.name, verdict(check), check.message]),
  );
  if (bundle !== undefined) printer.line(`\nwrote ${bundle}; read it before you send it`);
}

const versions = (): Readonly<Record<string, string>> => {
  const packageFile = new URL("../../../package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(packageFile, "utf8")) as { readonly version: string };
  const { node, v8, uv } = process.versions;
  return {
    bellwether: version,
    node,
    v8,
    uv,
    platform: process.platform,
    architecture: process.arch,
  };
};

function writeBundle(
  path: string,
  report: unknown,
  { station, log }: DoctorOptions,
  { clock }: CommandContext,
): void {
  const files: readonly ArchiveFile[] = [
    { name: "doctor.json", bytes: Buffer.from(`${toJson(report, 2)}\n`) },
    ...(station === undefined ? [] : [withoutSecrets(station)]),
    ...log.map((logPath, index) => ({
      name: `logs/${index + 1}-${asciiName(logPath)}`,
      bytes: readEnd(logPath, logBytesMax),
    })),
  ];
  const archive = createTarGz(files, Number(clock.utcPs() / psPerS));
  try {
    writeFileSync(path, archive);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

const unwritable = (path: string, cause: unknown): LabError =>
  new LabError("file.unwritable", `${path} cannot be written: ${messageOf(cause)}`, { cause });

const asciiName = (path: string): string =>
  basename(path)
    .replaceAll(/[^\w.-]/g, "_")
    .slice(-80);

const withoutSecrets = (path: string): ArchiveFile => ({
  name: `station/${asciiName(path)}`,
  bytes: Buffer.from(
    readEnd(path, logBytesMax).toString("utf8").replaceAll(secretKey, "$1 [left out]"),
  ),
});

function readEnd(path: string, bytesMax: number): Buffer {
  try {
    if (!statSync(path).isFile()) throw new LabError("file.not-a-file", `${path} is not a file`);
    return readFileSync(path).subarray(-bytesMax);
  } catch (cause) {
    if (cause instanceof LabError) throw cause;
    throw unreadable(path, cause);
  }
}

const unreadable = (path: string, cause: unknown): LabError =>
  new LabError("file.unreadable", `${path} cannot be read: ${messageOf(cause)}`, { cause });
