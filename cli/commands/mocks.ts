import { mkdirSync } from "node:fs";
import { firstValueFrom } from "rxjs";
import { LabError, messageOf } from "../../hal/errors.ts";
import { readStation } from "../../hal/station/station-file.ts";
import type { AddCommand } from "../command.ts";
import { assertNotServed, publishMockLab, startMockLab, withdrawMockLab } from "../run/mock-lab.ts";
import { stationContext } from "./station.ts";

/** Adds `mocks serve STATION`: the mock lab of a station as processes that any program can be pointed at. */
export const addMocksCommand: AddCommand = (program, context) => {
  program
    .command("mocks")
    .description("work with mock laboratories")
    .command("serve")
    .description("serve a station's mock instruments at their ports until Ctrl-C")
    .argument("<station>", "a station file with a mock section")
    .requiredOption("--folder <folder>", "where the ports get names that stay the same")
    .option("--json", "one JSON object a line")
    .action((path: string, options: { readonly folder: string; readonly json?: true }) =>
      context.run(async () => {
        const { printer, signal } = context;
        const station = await readStation(path, stationContext());
        makeFolder(options.folder);
        assertNotServed(options.folder);
        const lab = await startMockLab(station, { ...context, linkFolder: options.folder });
        try {
          publishMockLab(lab, options.folder);
          for (const [instrument, url] of lab.urls) {
            if (options.json) printer.json({ event: "served", instrument, url });
            else printer.line(`${instrument}: ${url}`);
          }
          if (options.json) printer.json({ event: "serving", seed: lab.seed });
          else printer.line(`serving, seed ${lab.seed}; Ctrl-C ends it`);
          const failure = await Promise.race([
            firstValueFrom(lab.failures$, { defaultValue: null }),
            new Promise<null>((resolve) => {
              signal.addEventListener("abort", () => resolve(null), { once: true });
              if (signal.aborted) resolve(null);
            }),
          ]);
          if (failure !== null) throw failure;
          return undefined;
        } finally {
          withdrawMockLab(options.folder);
          await lab.close();
        }
      }),
    );
};

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    const failure = new LabError("mock.folder", `${folder} cannot be made: ${messageOf(cause)}`, {
      cause,
    });
    throw failure;
  }
}
