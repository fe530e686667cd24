import type { Command } from "commander";
import type { RecordingFacts } from "../../hal/tags/recording-job.ts";
import type { Recording } from "../../hal/tags/recording-source.ts";
import { formatPs } from "../../hal/units.ts";
import type { CommandContext } from "../command.ts";
import { type Printer, printable } from "../print.ts";
import { judgeRecording, openRecordingSession } from "../recording-session.ts";
import { printLosses, rateText } from "../wording.ts";

/** Adds `info FILE`: what a recording holds, found by reading all of it. */
export function addInfoCommand(program: Command, context: CommandContext): void {
  program
    .command("info")
    .description("say what a recording holds: format, tags by channel, losses, warnings")
    .argument("<file>", "a recording, of any format that is known")
    .option("--json", "one JSON object on standard output")
    .action((path: string, options: { readonly json?: true }) =>
      context.run(async () => {
        const { recording } = await openRecordingSession(path);
        const facts = await recording.facts();
        if (options.json) context.printer.json(infoOf(recording, facts));
        else printInfo(context.printer, recording, facts);
        return judgeRecording(recording, facts, context.printer);
      }),
    );
}

/** Gives the object that scripts rely on; times are decimal strings, `lostTags` is null where nobody can tell. */
function infoOf({ format }: Recording, facts: RecordingFacts): Readonly<Record<string, unknown>> {
  const { records, tags, channels, firstPs, lastPs, lostTags, losses, sorted, warnings } = facts;
  return { format, records, tags, channels, firstPs, lastPs, lostTags, losses, sorted, warnings };
}

function printInfo(printer: Printer, recording: Recording, facts: RecordingFacts): void {
  const { firstPs, lastPs, channels, records, tags } = facts;
  const spanPs = firstPs === null || lastPs === null ? 0n : lastPs - firstPs;
  const labels = new Map(
    recording.head.channels.map(({ channel, label }) => [channel, printable(label)]),
  );
  printer.line(printer.strong(printable(recording.path)));
  printer.line(`${recording.format}, ${records} records, ${tags} tags over ${formatPs(spanPs)}`);
  printer.table(
    ["channel", "label", "tags", "rate"],
    Object.entries(channels).map(([channel, count]) => [
      ...[channel, labels.get(Number(channel)) ?? "", String(count), rateOf(count, spanPs)],
    ]),
    [0, 2],
  );
  const { notes } = recording.head.settings as { readonly notes?: unknown };
  if (typeof notes === "string" && notes !== "") printer.line(`notes: ${printable(notes)}`);
  printer.line(facts.sorted ? "in order of time" : "not in order of time; put in order on reading");
  printLosses(printer, facts);
}

/** Rate over the span of the tags, with its Poisson uncertainty. */
function rateOf(tags: number, spanPs: bigint): string {
  if (spanPs <= 0n) return rateText(null);
  const spanS = Number(spanPs) / 1e12;
  return rateText({ value: tags / spanS, uncertainty: Math.sqrt(tags) / spanS });
}
