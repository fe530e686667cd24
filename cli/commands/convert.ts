import { existsSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { extname } from "node:path";
import { type Command, Option } from "commander";
import { isLabError, LabError, messageOf } from "../../hal/errors.ts";
import { csvHeading, encodeCsv } from "../../hal/tags/formats/csv.ts";
import { PtuWriter } from "../../hal/tags/formats/ptu-writer.ts";
import { recordStream } from "../../hal/tags/recorder.ts";
import { consumeBlocks } from "../block-consumer.ts";
import type { CommandContext } from "../command.ts";
import type { ExitCode } from "../exit-codes.ts";
import {
  judgeRecording,
  openRecordingSession,
  type RecordingSession,
  replaySlots,
} from "../recording-session.ts";
import { lossSentence } from "../wording.ts";

const outputFormats = ["bwt", "csv", "ptu"] as const;
type OutputFormat = (typeof outputFormats)[number];

/** Adds `convert FILE OUT`. */
export function addConvertCommand(program: Command, context: CommandContext): void {
  program
    .command("convert")
    .description("write a recording in another format; an existing file is never overwritten")
    .argument("<file>", "a recording, of any format that is known")
    .argument("<out>", "the file to write; its extension gives the format")
    .addOption(new Option("--to <format>", "format of the output").choices(outputFormats))
    .option("--json", "one JSON object on standard output")
    .action((path: string, out: string, options: ConvertOptions, command: Command) =>
      context.run(async () => {
        const format = options.to ?? formatOf(out);
        if (format === undefined) {
          command.error(`error: ${out} does not say its format; add --to bwt, csv or ptu`);
        }
        return await convert({ path, out, format, hasJson: options.json === true }, context);
      }),
    );
}

interface ConvertOptions {
  readonly to?: OutputFormat;
  readonly json?: true;
}

const formatOf = (out: string): OutputFormat | undefined =>
  outputFormats.find((format) => extname(out).toLowerCase() === `.${format}`);

interface Conversion {
  readonly path: string;
  readonly out: string;
  readonly format: OutputFormat;
  readonly hasJson: boolean;
}

async function convert(
  conversion: Conversion,
  context: CommandContext,
): Promise<ExitCode | undefined> {
  const { path, out, format, hasJson } = conversion;
  const session = await openRecordingSession(path);
  if (existsSync(out))
    throw new LabError("file.exists", `${out} exists already; choose another name`);
  try {
    await writers[format](session, out, context);
  } catch (error) {
    if (isLabError(error, "file.exists")) throw error;
    rmSync(out, { force: true });
    if (error instanceof LabError) throw error;
    throw unwritable(out, error);
  }
  const facts = await session.recording.facts();
  const { tags, lostTags, losses } = facts;
  const { printer } = context;
  if (format !== "bwt" && losses.length > 0) {
    printer.note(
      `${out} cannot say that tags are missing: ${lossSentence(lostTags, losses.length)}`,
    );
  }
  if (hasJson) printer.json({ from: path, to: out, format, tags, lostTags });
  else printer.line(`wrote ${tags} tags to ${out}`);
  return judgeRecording(session.recording, facts, printer);
}

const unwritable = (path: string, cause: unknown): LabError =>
  new LabError("file.unwritable", `${path} cannot be written: ${messageOf(cause)}`, { cause });

type Write = (session: RecordingSession, out: string, context: CommandContext) => Promise<void>;

const blocksMax = 2 * replaySlots;

const writeNative: Write = async ({ recording }, out, { clock, signal }) => {
  const recorder = await recordStream(recording.stream, out, {
    clock,
    notes: `converted from ${recording.path}`,
    snapshot: recording.head.settings,
    blocksHeldMax: blocksMax,
  });
  const stop = (): void => recorder.stop();
  signal.addEventListener("abort", stop, { once: true });
  await recorder.done;
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
};

const writeCsv: Write = async ({ recording }, out, { signal }) => {
  await using file = await open(out, "wx");
  await file.appendFile(csvHeading);
  const append = (block: Parameters<Parameters<typeof consumeBlocks>[1]>[0]): Promise<void> =>
    file.appendFile(encodeCsv(block.times(), block.channels()));
  await consumeBlocks(recording.stream.blocks$, append, { blocksMax, signal });
};

const writePtu: Write = async ({ recording }, out, { signal }) => {
  const { channels, epochPs } = recording.stream;
  const writer = await PtuWriter.create(out, {
    comment: `converted from ${recording.path}`,
    startUtcPs: epochPs,
    inputs: channels.length,
  });
  try {
    await consumeBlocks(
      recording.stream.blocks$,
      (block) => writer.write(block.times(), block.channels()),
      { blocksMax, signal },
    );
  } finally {
    await writer.close();
  }
};

const writers: Readonly<Record<OutputFormat, Write>> = {
  bwt: writeNative,
  csv: writeCsv,
  ptu: writePtu,
};
