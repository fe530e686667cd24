/** Station files for scenarios: the shipped station with some lines changed. */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scratchFolder } from "./program.ts";

/** The station that `run` takes by default. */
export const firstLight = fileURLToPath(
  new URL("../../stations/first-light.yaml", import.meta.url),
);

/** What to replace in the text of first-light, and by what. */
export type Change = readonly [from: string | RegExp, to: string];

/** Replaces once or, for a pattern with the flag g, everywhere. @throws when there is nothing to replace. */
export function changed(text: string, changes: readonly Change[]): string {
  return changes.reduce((before, [from, to]) => {
    const after = before.replace(from, to);
    if (after === before) throw new Error(`first-light.yaml has no ${String(from)}`);
    return after;
  }, text);
}

/** Writes a changed first-light and gives its path. */
export function stationFile(...changes: readonly Change[]): string {
  const path = join(scratchFolder(), "station.yaml");
  writeFileSync(path, changed(readFileSync(firstLight, "utf8"), changes));
  return path;
}

/** The current of a dim station, in mA. */
export const dimCurrentMa = 3;

/** A tenth of the light: as good for everything but keys, soon reached, and kind to a busy machine. */
export const dim: Change = [
  "settings: { currentMa: 30 }",
  `settings: { currentMa: ${dimCurrentMa} }`,
];

/** Ports below those that the system gives to outgoing connections, of which one may take a port that was free a moment ago. */
let nextPort = 20_000 + (process.pid % 10_000);

/** A port at which nobody listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort++;
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("listening", () => resolve(true));
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1");
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** A channel between two processes. */
export const overTcp = (port: number): Change => [
  "channel: in-process",
  `channel: tcp:127.0.0.1:${port}`,
];
