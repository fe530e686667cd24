import { z } from "zod";

/** Names of nodes, devices, detectors, links: they appear in paths, log lines and URLs. */
const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/)
  .describe("Lower-case letters, digits and dashes, a letter first.");

/** The four Bell states, in the order used everywhere. */
export const bellStates = ["phi+", "phi-", "psi+", "psi-"] as const;

const device = z
  .strictObject({
    driver: z
      .string()
      .regex(/^[a-z0-9-]+\/[a-z0-9-]+$/)
      .describe("Driver, as vendor/model; `bellwether devices` lists them."),
    port: z
      .string()
      .describe(
        "Where it is plugged in: serial:/dev/serial/by-id/..., tcp:host:port, or mock:instrument.",
      ),
    settings: z
      .record(z.string(), z.unknown())
      .default({})
      .describe(
        "What the driver sets when it opens the instrument; the driver says what there is.",
      ),
    limits: z
      .record(z.string(), z.number())
      .default({})
      .describe(
        "Bounds that hold on every path: the name of a setting followed by Max or Min, such as currentMaMax.",
      ),
  })
  .describe("One instrument.");

const detector = z
  .strictObject({
    tagger: name.describe("Device of this node whose input the detector is wired to."),
    input: z.int().min(1).max(64).describe("Input of the tagger, as printed on the box."),
    basis: z.enum(["z", "x"]).describe("Basis of the analyzer in front of the detector."),
    outcome: z
      .union([z.literal(0), z.literal(1)])
      .describe("Outcome that a click means: 0 is the +1 eigenstate, H or D."),
    delayPs: z
      .int()
      .min(-1_000_000_000)
      .max(1_000_000_000)
      .default(0)
      .describe("Added to its times, in ps, to make up for cables and detectors."),
  })
  .describe("One detector and its wiring.");

const node = z
  .strictObject({
    devices: z.record(name, device).default({}).describe("Instruments of this node, by name."),
    detectors: z.record(name, detector).default({}).describe("Detectors of this node, by name."),
  })
  .describe("One node: the instruments of one place, run by one process.");

const clockSearch = z
  .strictObject({
    offsetMaxMs: z
      .number()
      .positive()
      .max(60_000)
      .default(1000)
      .describe("How far the two nodes' clocks may be apart, in ms."),
    driftMaxPpb: z
      .number()
      .positive()
      .max(1_000_000)
      .default(2000)
      .describe("How differently the two clocks may run, in parts per billion."),
  })
  .describe("Where the blind search looks for the other node's clock.");

const keyDistillation = z
  .strictObject({
    blockBits: z
      .int()
      .min(1000)
      .max(10_000_000)
      .default(50_000)
      .describe("Sifted bits that are distilled together."),
    testFraction: z
      .number()
      .min(0.01)
      .max(0.9)
      .default(0.2)
      .describe("Share of the sifted bits that is disclosed to estimate errors, 0..1."),
    qberMax: z
      .number()
      .positive()
      .max(0.11)
      .default(0.09)
      .describe("Quantum bit error ratio above which a block is abandoned, 0..1."),
    securityError: z
      .number()
      .min(1e-30)
      .max(0.01)
      .default(1e-9)
      .describe("Bound on the probability that a key is not secret."),
    correctnessError: z
      .number()
      .min(1e-30)
      .max(0.01)
      .default(1e-12)
      .describe("Bound on the probability that the two ends' keys differ unnoticed."),
  })
  .describe("BBM92 key distillation on the link's pairs; leave it out to have pairs alone.");

const link = z
  .strictObject({
    ends: z
      .tuple([name, name])
      .describe("The two nodes: the first announces its detections, the second matches them."),
    channel: z
      .string()
      .default("in-process")
      .describe("How the ends talk: in-process, or tcp:host:port where the second end listens."),
    bellState: z.enum(bellStates).default("phi+").describe("State that the source emits."),
    coincidenceWindowPs: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .default(5000)
      .describe("Full width of the coincidence window, in ps."),
    clock: clockSearch.prefault({}),
    key: keyDistillation.optional(),
  })
  .describe("One photonic link between two nodes.");

/** Shape of a station file; what single keys cannot tell is in station-checks.ts. */
export const stationSchema = z.strictObject({
  station: name.describe("Name of the station."),
  nodes: z.record(name, node).describe("The nodes of the station, by name."),
  links: z.record(name, link).default({}).describe("Links between nodes, by name."),
  mock: z
    .unknown()
    .optional()
    .describe("The mock laboratory that the mock: ports lead to; absent where all is real."),
});

/** One instrument of a node, its settings complete. */
export interface StationDevice {
  readonly name: string;
  readonly driver: string;
  /** Link URL: `serial:...`, `tcp:...` or `mock:instrument`. */
  readonly port: string;
  /** Parsed by the driver's manifest, defaults filled in. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Keys of `settings` that the file itself gives; the others are the driver's defaults. */
  readonly givenSettings: ReadonlySet<string>;
  /** A setting's name followed by Max or Min, and its bound. */
  readonly limits: Readonly<Record<string, number>>;
}

/** One detector and its wiring. */
export interface StationDetector {
  readonly name: string;
  readonly tagger: string;
  /** From 1, as printed on the box. */
  readonly input: number;
  /** From 0, as in tag blocks: `input - 1`. */
  readonly channel: number;
  readonly basis: "z" | "x";
  readonly outcome: 0 | 1;
  readonly delayPs: bigint;
}

/** One node. */
export interface StationNode {
  readonly name: string;
  readonly devices: ReadonlyMap<string, StationDevice>;
  readonly detectors: ReadonlyMap<string, StationDetector>;
}

/** One photonic link. */
export interface StationLink extends Readonly<z.output<typeof link>> {
  readonly name: string;
}

/** A station as its file describes it, checked. */
export interface Station {
  readonly name: string;
  /** The file it came from. */
  readonly path: string;
  readonly nodes: ReadonlyMap<string, StationNode>;
  readonly links: ReadonlyMap<string, StationLink>;
  /** The mock section, parsed by the mock schema when one was given; null where there is none. */
  readonly mock: unknown;
}

/**
 * Gives the names of a tagger's channels, 0-based, for streams and recordings: the detector wired there,
 * or `input 3` where there is none.
 */
export function channelLabels(
  node: StationNode,
  tagger: string,
  inputs: number,
): { readonly channel: number; readonly label: string }[] {
  const detectors = [...node.detectors.values()].filter((detector) => detector.tagger === tagger);
  return Array.from({ length: inputs }, (_, channel) => ({
    channel,
    label:
      detectors.find((detector) => detector.channel === channel)?.name ?? `input ${channel + 1}`,
  }));
}
