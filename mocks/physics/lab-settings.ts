/**
 * The `mock:` section of a station file: the laboratory that the mock instruments stand in. Every
 * parameter is a physical quantity with its unit in its name. Nothing here is known to a driver.
 */
import { z } from "zod";
import { LabError, messageOf } from "../../hal/errors.ts";
import { bellStates, visibilitiesOf } from "./polarization.ts";

const visibility = z.number().min(0).max(1).optional();

const pairSourceShape = {
  pump: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Name of the mock instrument whose pump current makes the light; without it the light is always on.",
    ),
  nominalCurrentMa: z
    .number()
    .positive()
    .max(10_000)
    .default(30)
    .describe("Pump current at which the source emits the given rate; the rate is linear in it."),
  statistics: z
    .enum(["poisson", "thermal"])
    .default("poisson")
    .describe("Photon-pair number statistics in a coherence time or pulse."),
  modes: z
    .int()
    .min(1)
    .max(1000)
    .default(1)
    .describe(
      "Thermal modes that share the light: g2(0) = 1 + 1/modes. 2 for both polarizations of type-II down-conversion.",
    ),
  bellState: z
    .enum(bellStates)
    .default("phi+")
    .describe("Bell state to which the visibilities or the fidelity refer."),
  visibilityX: visibility.describe("Visibility in the diagonal basis, 0..1; 1 when omitted."),
  visibilityY: visibility.describe(
    "Visibility in the circular basis, 0..1; the product of the other two when omitted.",
  ),
  visibilityZ: visibility.describe("Visibility in the rectilinear basis, 0..1; 1 when omitted."),
  fidelity: z
    .number()
    .min(0.25)
    .max(1)
    .optional()
    .describe("Fidelity of a Werner state, 0.25..1, in place of visibilities."),
};

const continuousSource = z.strictObject({
  emission: z.literal("continuous").describe("Pumped continuously."),
  pairRateHz: z
    .number()
    .min(0)
    .max(1e8)
    .default(250_000)
    .describe("Pairs emitted per second at the nominal current, before any loss."),
  coherenceTimePs: z
    .number()
    .min(0.001)
    .max(1e6)
    .default(1)
    .describe(
      "Coherence time of one photon (integral of |g1|^2): thermal pairs bunch within it. No effect on Poisson light.",
    ),
  ...pairSourceShape,
});

const pulsedSource = z.strictObject({
  emission: z.literal("pulsed").describe("Pumped by short pulses, one coherence cell each."),
  pulsePeriodPs: z
    .number()
    .min(10)
    .max(1e12)
    .default(12_500)
    .describe("Time between pump pulses, in ps; 12,500 is 80 MHz."),
  pairsPerPulse: z
    .number()
    .min(0)
    .max(20)
    .default(0.01)
    .describe("Mean pairs per pulse at the nominal current, before any loss."),
  pulsePsFwhm: z
    .number()
    .min(0)
    .max(1e6)
    .default(10)
    .describe("Duration of a pulse, full width at half maximum of a Gaussian, in ps."),
  ...pairSourceShape,
});

const rotation = z
  .strictObject({
    axis: z
      .tuple([z.number(), z.number(), z.number()])
      .default([0, 0, 1])
      .describe(
        "Axis on the Bloch sphere as (x, y, z) = (diagonal, circular, rectilinear); any length but 0.",
      ),
    angleDeg: z
      .number()
      .min(-360)
      .max(360)
      .default(0)
      .describe(
        "Right-handed angle on the Bloch sphere, in degrees: twice the angle by which linear polarization turns.",
      ),
  })
  .describe("Rotation of polarization along the fibre.");

const fibre = z
  .strictObject({
    lengthKm: z
      .number()
      .min(0)
      .max(1000)
      .default(0)
      .describe("Length in km; light is delayed by 1.468 times length over c."),
    lossDbPerKm: z.number().min(0).max(10).default(0.2).describe("Attenuation in dB per km."),
    insertionLossDb: z
      .number()
      .min(0)
      .max(80)
      .default(0)
      .describe("Loss of connectors, filters and analyzer optics, in dB."),
    rotation: rotation.prefault({}),
  })
  .describe("The way from the source to the analyzer.");

const detector = z
  .strictObject({
    input: z.int().min(1).max(64).describe("Input of the instrument, as printed on the box."),
    basis: z.enum(["x", "y", "z"]).describe("Basis whose outcome this detector tells."),
    outcome: z
      .union([z.literal(0), z.literal(1)])
      .describe("0 is the +1 eigenstate of the basis: H, D or (H + iV)/sqrt 2."),
    efficiency: z.number().min(0).max(1).default(0.7).describe("Detection efficiency, 0..1."),
    darkCountRateHz: z
      .number()
      .min(0)
      .max(1e7)
      .default(200)
      .describe("Clicks without light, per second."),
    jitterPsFwhm: z
      .number()
      .min(0)
      .max(100_000)
      .default(60)
      .describe("Timing jitter, full width at half maximum of a Gaussian, in ps."),
    deadTimePs: z
      .number()
      .int()
      .min(0)
      .max(1e9)
      .default(40_000)
      .describe(
        "Time without another click after each click (not prolonged by further light), in ps.",
      ),
    afterpulseProbability: z
      .number()
      .min(0)
      .max(0.5)
      .default(0)
      .describe(
        "Probability that a photon or dark click is followed by an afterpulse, before dead time removes the early ones.",
      ),
    afterpulseDecayPs: z
      .number()
      .min(1)
      .max(1e9)
      .default(100_000)
      .describe("Decay time of the exponential afterpulse delay, in ps."),
  })
  .describe("One single-photon detector.");

const receiver = z
  .strictObject({
    instrument: z.string().min(1).describe("Mock instrument to whose inputs the detectors go."),
    fibre: fibre.prefault({}),
    basisProbabilityZ: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe("Share of photons that the passive basis choice sends to the z analyzer, 0..1."),
    basisProbabilityY: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe("Share that goes to the y analyzer, 0..1; what is left goes to x."),
    detectors: z.array(detector).min(1).max(8).describe("The detectors behind the analyzers."),
  })
  .describe("One end of the pair source: fibre, analyzers, detectors.");

const instrumentClock = z
  .strictObject({
    offsetPs: z
      .int()
      .min(-1e15)
      .max(1e15)
      .default(0)
      .describe("What the instrument's clock shows at lab time 0, in ps."),
    driftPpb: z
      .number()
      .min(-1e6)
      .max(1e6)
      .multipleOf(0.001)
      .default(0)
      .describe("How much the instrument's clock runs too fast, in parts per billion."),
    tickPs: z.int().min(1).max(1e9).default(2000).describe("Resolution of the time stamps, in ps."),
  })
  .describe("Oscillator of a mock instrument.");

const instrument = z
  .strictObject({
    model: z
      .string()
      .regex(/^[a-z0-9-]+\/[a-z0-9-]+$/)
      .describe("Which mock to run, as vendor/model."),
    at: z
      .enum(["pty", "tcp"])
      .default("pty")
      .describe("Where it plugs in: a pseudo-terminal, or TCP on the loopback interface."),
    serialNumber: z.string().min(1).max(32).optional().describe("Serial number it reports."),
    clock: instrumentClock.prefault({}),
    fifoTags: z
      .int()
      .min(16)
      .max(2 ** 24)
      .default(131_072)
      .describe(
        "Tags that the instrument's own FIFO holds; what comes beyond is lost, and it says so.",
      ),
    tagsPerSecondMax: z
      .number()
      .min(1)
      .max(1e9)
      .default(3_900_000)
      .describe("Tags per second that the instrument's connection carries."),
  })
  .describe("One mock instrument.");

const host = z.strictObject({
  utcOffsetMs: z
    .number()
    .min(-1e6)
    .max(1e6)
    .default(0)
    .describe("How far the host's UTC is ahead of true UTC, in ms."),
});

const pairSource = z.discriminatedUnion("emission", [continuousSource, pulsedSource]);

/** Schema of the `mock:` section; `z.input` of it is what a station file says, `z.output` has every default filled in. */
export const labSettingsSchema = z
  .strictObject({
    seed: z
      .int()
      .min(0)
      .max(Number.MAX_SAFE_INTEGER)
      .optional()
      .describe(
        "Seed of all chance in the mock lab; a fresh one is drawn and printed when omitted.",
      ),
    source: pairSource.prefault({ emission: "continuous" }),
    receivers: z
      .record(z.string(), receiver)
      .describe(
        "The two ends of the source, by node; the first is A and the second is B of the state.",
      ),
    instruments: z
      .record(z.string(), instrument)
      .default({})
      .describe("The mock instruments, by name."),
    hosts: z
      .record(z.string(), host)
      .default({})
      .describe("The nodes' PCs, by node, where their clocks are wrong."),
  })
  .superRefine((lab, context) => {
    for (const [path, message] of contradictionsIn(lab)) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  });

/** A mock lab with every default filled in. */
export type LabSettings = z.output<typeof labSettingsSchema>;
/** The pair source of a mock lab. */
export type PairSourceSettings = LabSettings["source"];
/** One end of the source: fibre, analyzers, detectors. */
export type ReceiverSettings = LabSettings["receivers"][string];
/** One detector; `input` is 1-based, as printed on the box. */
export type DetectorSettings = ReceiverSettings["detectors"][number];
/** One mock instrument: which, where it plugs in, its clock and its FIFO. */
export type InstrumentSettings = LabSettings["instruments"][string];
/** Oscillator of a mock instrument. */
export type InstrumentClockSettings = InstrumentSettings["clock"];

type Contradiction = readonly [path: readonly (string | number)[], message: string];

interface Lab {
  readonly source: z.output<typeof pairSource>;
  readonly receivers: Readonly<Record<string, z.output<typeof receiver>>>;
  readonly instruments: Readonly<Record<string, z.output<typeof instrument>>>;
}

/** What no single key can tell: names that point nowhere, inputs used twice, states that cannot be. */
function* contradictionsIn(lab: Lab): Generator<Contradiction> {
  const names = Object.keys(lab.receivers);
  if (names.length !== 2) {
    yield [["receivers"], `a pair source has two receivers, not ${names.length}`];
  }
  if (lab.source.pump !== undefined && lab.instruments[lab.source.pump] === undefined) {
    yield [["source", "pump"], `"${lab.source.pump}" is not among the mock instruments`];
  }
  try {
    visibilitiesOf(lab.source);
  } catch (error) {
    yield [["source"], messageOf(error)];
  }
  const usedInputs = new Set<string>();
  for (const [name, settings] of Object.entries(lab.receivers)) {
    for (const [path, message] of receiverContradictions(settings, lab, usedInputs)) {
      yield [["receivers", name, ...path], message];
    }
  }
}

function* receiverContradictions(
  settings: z.output<typeof receiver>,
  lab: Lab,
  usedInputs: Set<string>,
): Generator<Contradiction> {
  if (lab.instruments[settings.instrument] === undefined) {
    yield [["instrument"], `"${settings.instrument}" is not among the mock instruments`];
  }
  if (settings.basisProbabilityZ + settings.basisProbabilityY > 1) {
    yield [["basisProbabilityY"], "the probabilities of z and y add to more than 1"];
  }
  if (Math.hypot(...settings.fibre.rotation.axis) === 0) {
    yield [["fibre", "rotation", "axis"], "a rotation axis has a length above 0"];
  }
  const usedOutcomes = new Set<string>();
  for (const [index, { input, basis, outcome }] of settings.detectors.entries()) {
    const at = ["detectors", index];
    if (usedInputs.has(`${settings.instrument} ${input}`)) {
      yield [[...at, "input"], `input ${input} of "${settings.instrument}" has two detectors`];
    }
    usedInputs.add(`${settings.instrument} ${input}`);
    if (usedOutcomes.has(`${basis}${outcome}`)) {
      yield [[...at, "outcome"], `outcome ${outcome} of basis ${basis} has two detectors`];
    }
    usedOutcomes.add(`${basis}${outcome}`);
  }
}

/**
 * Parses a `mock:` section and fills in its defaults.
 * @throws LabError `mock.settings` naming the first key that is wrong.
 */
export function parseLabSettings(section: unknown): LabSettings {
  const parsed = labSettingsSchema.safeParse(section);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = ["mock", ...(issue?.path ?? [])].join(".");
  throw new LabError("mock.settings", `${path}: ${issue?.message ?? "not a mock lab"}`, {
    details: { issues: parsed.error.issues },
  });
}
