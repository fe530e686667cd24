/**
 * A mock lab that a test runs itself and looks into: which current pumps the source, and which bytes pass between hosts and instruments, in
 * their order. Programs under test use it as a served lab, `run --mocks FOLDER`.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { stationContext } from "../../cli/commands/station.ts";
import { silentLogger, toJson } from "../../hal/log.ts";
import { readStation } from "../../hal/station/station-file.ts";
import { type InstrumentHost, startInstruments } from "../../mocks/instrument-host.ts";
import type { LabSettings } from "../../mocks/physics/lab-settings.ts";
import { startPhysics } from "../../mocks/physics/physics-host.ts";
import { scratchFolder, until } from "./program.ts";

/** Something said on a wire. */
export interface Said {
  readonly instrument: string;
  readonly by: "host" | "instrument";
  readonly text: string;
}

/** The lab as a test sees it. */
export interface ObservedLab extends AsyncDisposable {
  /** For `--mocks`. */
  readonly folder: string;
  readonly instruments: InstrumentHost["instruments"];
  /** Texts on the wires since the last `forget`; a tagger's stream of tags is left out. */
  readonly said: readonly Said[];
  forget(): void;
  /** The current that the source drives now, asked of the mock instrument itself, in mA. */
  pumpCurrentMa(): Promise<number>;
  /** Waits until it is 0. */
  isDark(timeoutMs?: number): Promise<void>;
}

/** Runs the mock lab of a station file; its instruments serve on TCP. */
export async function observeLab(stationPath: string): Promise<ObservedLab> {
  const station = await readStation(stationPath, stationContext());
  const settings = station.mock as LabSettings;
  const physics = await startPhysics(settings, { logger: silentLogger });
  const host = await startInstruments({
    instruments: Object.fromEntries(
      Object.entries(settings.instruments).map(([name, each]) => [name, { ...each, at: "tcp" }]),
    ),
    labSocketPath: physics.socketPath,
    logger: silentLogger,
  });
  const said: Said[] = [];
  const servers: Server[] = [];
  const urls: Record<string, string> = {};
  for (const [name, { url }] of host.instruments) {
    const server = createServer({ noDelay: true }, (socket) =>
      listenIn(socket, url, (by, text) => said.push({ instrument: name, by, text })),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no address");
    urls[name] = `tcp:127.0.0.1:${address.port}`;
    servers.push(server);
  }
  const folder = scratchFolder();
  writeFileSync(join(folder, "lab.json"), toJson({ seed: physics.seed, urls }));
  const source = host.instruments.get("source");
  const pumpCurrentMa = async (): Promise<number> =>
    (await source?.countInside())?.pumpCurrentMa ?? Number.NaN;
  return {
    ...{ folder, said, pumpCurrentMa, instruments: host.instruments },
    forget: () => void said.splice(0),
    isDark: async (timeoutMs) => {
      let nowMa = await pumpCurrentMa();
      let isAsking = false;
      const look = (): boolean => {
        if (!isAsking) {
          isAsking = true;
          void pumpCurrentMa().then((currentMa) => {
            nowMa = currentMa;
            isAsking = false;
          });
        }
        return nowMa === 0;
      };
      await until(`darkness; the pump is at ${nowMa} mA`, look, timeoutMs);
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) server.close();
      await host.close();
      await physics.close();
    },
  };
}

/** Passes bytes both ways and tells what was text. */
function listenIn(
  fromHost: Socket,
  instrumentUrl: string,
  tell: (by: Said["by"], text: string) => void,
): void {
  const [, address = "", port = "0"] = /^tcp:(.*):(\d+)$/.exec(instrumentUrl) ?? [];
  const toInstrument = connect({ host: address, port: Number(port), noDelay: true });
  const ends = [fromHost, toInstrument] as const;
  for (const [from, to, by] of [
    [fromHost, toInstrument, "host"],
    [toInstrument, fromHost, "instrument"],
  ] as const) {
    from.on("data", (bytes: Buffer) => {
      const text = bytes.toString("latin1");
      if (/^[\r\n\x20-\x7e]*$/.test(text)) tell(by, text);
      to.write(bytes);
    });
    from.on("error", () => from.destroy());
    from.on("close", () => {
      for (const end of ends) end.destroySoon();
    });
  }
}
