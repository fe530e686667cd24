import { z } from "zod";
import { LabError } from "../../../hal/errors.ts";
import type { StationManifest } from "../../../hal/station/station-checks.ts";
import { parseStation, type StationContext } from "../../../hal/station/station-file.ts";
import type { StationProblem } from "../../../hal/station/station-problem.ts";

const tagger: StationManifest = {
  id: "acme/tagger",
  title: "Acme time tagger",
  roles: ["time-tagger"],
  links: ["serial", "tcp"],
  inputs: 4,
  settings: z.strictObject({
    threshold: z.enum(["nim", "ttl"]).default("nim"),
    delayPs: z.int().default(0),
  }),
};
const laser: StationManifest = {
  id: "acme/laser",
  title: "Acme pump laser",
  roles: ["laser"],
  links: ["serial"],
  settings: z.strictObject({
    currentMa: z.number().min(0).max(97).default(0),
    setC: z.number().min(20).max(50).optional(),
  }),
};
/** Two invented drivers and an invented mock section. */
export const context: StationContext = {
  manifests: new Map([tagger, laser].map((manifest) => [manifest.id, manifest])),
  mockSchema: z.strictObject({
    seed: z.int().optional(),
    rateHz: z.number().min(0).max(1e6).default(5),
    instruments: z.record(z.string(), z.strictObject({ model: z.string() })).default({}),
  }),
};

/** The lines of a good station; tests replace some. */
export const good = [
  /*  1 */ "station: bench",
  /*  2 */ "nodes:",
  /*  3 */ "  alice:",
  /*  4 */ "    devices:",
  /*  5 */ "      tagger:",
  /*  6 */ "        driver: acme/tagger",
  /*  7 */ "        port: mock:box",
  /*  8 */ "      pump:",
  /*  9 */ "        driver: acme/laser",
  /* 10 */ "        port: serial:/dev/ttyUSB0",
  /* 11 */ "        settings: { currentMa: 30 }",
  /* 12 */ "        limits: { currentMaMax: 60 }",
  /* 13 */ "    detectors:",
  /* 14 */ "      h: { tagger: tagger, input: 1, basis: z, outcome: 0, delayPs: -20 }",
  /* 15 */ "      v: { tagger: tagger, input: 2, basis: z, outcome: 1 }",
  /* 16 */ "  bob:",
  /* 17 */ "    devices:",
  /* 18 */ "      tagger: { driver: acme/tagger, port: tcp:127.0.0.1:5000 }",
  /* 19 */ "    detectors:",
  /* 20 */ "      h: { tagger: tagger, input: 4, basis: z, outcome: 0 }",
  /* 21 */ "links:",
  /* 22 */ "  alice-bob:",
  /* 23 */ "    ends: [alice, bob]",
  /* 24 */ "mock:",
  /* 25 */ "  instruments:",
  /* 26 */ "    box: { model: acme/tagger }",
];
/** Gives the good station with some lines replaced, by their numbers. */
export const withLines = (changes: Readonly<Record<number, string>>): string =>
  good.map((line, index) => changes[index + 1] ?? line).join("\n");

/** Gives what is wrong with a text; nothing when it is right. */
export function problemsOf(text: string): readonly StationProblem[] {
  try {
    parseStation(text, "bench.yaml", context);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    const { problems } = error.details;
    return problems as readonly StationProblem[];
  }
  return [];
}
