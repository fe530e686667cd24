#!/usr/bin/env node
/** The command line: builds the program, runs one command, and is the only place that ends the process. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { systemClock } from "../hal/clock.ts";
import { isLabError, LabError, messageOf } from "../hal/errors.ts";
import { createLogger } from "../hal/log.ts";
import { systemRandom } from "../hal/random.ts";
import type { AddCommand, CommandContext } from "./command.ts";
import { addConvertCommand } from "./commands/convert.ts";
import { addDevicesCommand } from "./commands/devices.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addInfoCommand } from "./commands/info.ts";
import { addMeasureCommand } from "./commands/measure.ts";
import { addMocksCommand } from "./commands/mocks.ts";
import { recordCommand } from "./commands/record.ts";
import { addReplayCommand } from "./commands/replay.ts";
import { addRunCommand } from "./commands/run.ts";
import { addStationCommand } from "./commands/station.ts";
import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { logSentences } from "./log-sentences.ts";
import { createPrinter } from "./print.ts";
import { openTaggerSession } from "./run/tagger-session.ts";

const addCommands: readonly AddCommand[] = [
  addRunCommand,
  addInfoCommand,
  addReplayCommand,
  recordCommand(openTaggerSession),
  addMeasureCommand,
  addConvertCommand,
  addDevicesCommand,
  addDoctorCommand,
  addStationCommand,
  addMocksCommand,
];

const exitCodeHelp = `
Exit codes:
  0    done
  1    it failed; one sentence on standard error says why (--verbose shows more)
  2    the command line is wrong
  3    done, but a check or a damaged recording has problems; they are named
  130  stopped by Ctrl-C, SIGTERM or SIGHUP

Times are written with a unit: 16ps, -23.94ns, 5us, 60s. Channels count from 0.`;

const isVerbose = process.argv.includes("--verbose");
const printer = createPrinter({
  output: process.stdout,
  errors: process.stderr,
  environment: process.env,
});
const interruption = new AbortController();
let exitCode: ExitCode | undefined;

const context: CommandContext = {
  ...{ printer, clock: systemClock, random: systemRandom, environment: process.env },
  // Logs go to standard error: standard output is for results alone.
  logger: isVerbose
    ? createLogger({ level: "debug", destination: process.stderr })
    : createLogger({ level: "warn", destination: logSentences(printer) }),
  signal: interruption.signal,
  run: async (work) => {
    exitCode = await work();
  },
};

/** Gives the exit code of whatever a command threw, after saying it. */
function report(thrown: unknown): ExitCode {
  if (thrown instanceof CommanderError) {
    return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  if (interruption.signal.aborted) return exitCodes.interrupted;
  if (isLabError(thrown)) printer.note(`bellwether: ${thrown.message}`);
  else printer.note(`bellwether: unexpected failure: ${messageOf(thrown)}`);
  if (isVerbose) printer.note(detailsOf(thrown));
  else if (!isLabError(thrown))
    printer.note("run it again with --verbose and report what it prints");
  return exitCodes.failed;
}

function detailsOf(thrown: unknown): string {
  const code = thrown instanceof LabError ? `${thrown.code}\n` : "";
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  const cause =
    thrown instanceof Error && thrown.cause !== undefined
      ? `\ncaused by ${detailsOf(thrown.cause)}`
      : "";
  return `${code}${stack ?? messageOf(thrown)}${cause}`;
}

function buildProgram(): Command {
  const { version } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  ) as { readonly version: string };
  const program = new Command("bellwether")
    .description("Software for a quantum-internet testbed: from the time tagger to the key.")
    .version(version)
    .option(
      "--verbose",
      "log more, as JSON lines on standard error, and show the stack of a failure",
    )
    .addHelpText("after", exitCodeHelp)
    .showHelpAfterError("(bellwether --help lists the commands)")
    .configureHelp({ sortSubcommands: false })
    .exitOverride();
  for (const add of addCommands) add(program, context);
  for (const command of allCommandsOf(program)) command.copyInheritedSettings(program);
  return program;
}

const allCommandsOf = (command: Command): readonly Command[] =>
  command.commands.flatMap((child) => [child, ...allCommandsOf(child)]);

/** Ends the process once what was written has left it; a second Ctrl-C does not wait. */
function exit(code: ExitCode): void {
  process.stdout.write("", (error) => {
    // What could not be written is said, and ends the process, where the stream reports it.
    if (error === null || error === undefined) process.exit(code);
  });
}

process.on("SIGINT", () => {
  if (interruption.signal.aborted) process.exit(exitCodes.interrupted);
  interruption.abort(new LabError("command.interrupted", "stopped by Ctrl-C"));
});
for (const signal of ["SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interruption.abort(new LabError("command.interrupted", `stopped by ${signal}`));
  });
}
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // The reader of a pipe may go (head, less): that is no failure. A full disk is one.
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  printer.note(`bellwether: the output cannot be written: ${error.message}`);
  process.exit(exitCodes.failed);
});

try {
  await buildProgram().parseAsync(process.argv);
  exit(exitCode ?? (interruption.signal.aborted ? exitCodes.interrupted : exitCodes.ok));
} catch (error) {
  exit(report(error));
}
