import type { Command } from "commander";
import { driverManifests } from "../../drivers/registry.ts";
import { isLabError } from "../../hal/errors.ts";
import { readStation, type StationContext } from "../../hal/station/station-file.ts";
import type { Station } from "../../hal/station/station-schema.ts";
import { labSettingsSchema } from "../../mocks/physics/lab-settings.ts";
import type { CommandContext } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";

/** Gives what a station file is checked against: all drivers, and the mock lab's settings. */
export const stationContext = (): StationContext => ({
  manifests: driverManifests,
  mockSchema: labSettingsSchema,
});

/** Adds `station check FILE`: all that is wrong with a station file, with its places. */
export function addStationCommand(program: Command, context: CommandContext): void {
  const station = program.command("station").description("work on station files");
  station
    .command("check")
    .description("check a station file; exit code 1 and one line a problem when it cannot be used")
    .argument("<file>", "a station file")
    .option("--json", "one JSON object on standard output")
    .action((path: string, options: { readonly json?: true }) =>
      context.run(async () => {
        if (!options.json) {
          context.printer.line(describeStation(await readStation(path, stationContext())));
          return undefined;
        }
        const problems = await problemsOf(path);
        context.printer.json({ ok: problems.length === 0, problems });
        return problems.length === 0 ? undefined : exitCodes.failed;
      }),
    );
}

function describeStation({ name, nodes, links, mock }: Station): string {
  const devices = [...nodes.values()].reduce((sum, node) => sum + node.devices.size, 0);
  const kind = mock === null ? "" : ", with a mock lab";
  return `${name}: ${nodes.size} nodes, ${devices} devices, ${links.size} links${kind}; no problem found`;
}

async function problemsOf(path: string): Promise<readonly unknown[]> {
  try {
    await readStation(path, stationContext());
    return [];
  } catch (error) {
    if (!isLabError(error, "station")) throw error;
    const { problems } = error.details;
    if (Array.isArray(problems)) return problems;
    return [{ code: error.code, file: path, line: null, column: null, message: error.message }];
  }
}
