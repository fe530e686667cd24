import { describe, expect, it } from "vitest";
import { z } from "zod";
import { isLabError, messageOf } from "../../../hal/errors.ts";
import { labSettingsSchema, parseLabSettings } from "../../../mocks/physics/lab-settings.ts";

const detector = { input: 1, basis: "z", outcome: 0 };
const end = (instrument: string, overrides: object = {}) => ({
  instrument,
  detectors: [detector],
  ...overrides,
});
const lab = (overrides: object = {}) => ({
  receivers: { alice: end("a"), bob: end("b") },
  instruments: { a: { model: "s-fifteen/tdc1" }, b: { model: "s-fifteen/tdc1" } },
  ...overrides,
});

function refusal(section: unknown): string {
  try {
    parseLabSettings(section);
  } catch (error) {
    expect(isLabError(error, "mock.settings")).toBe(true);
    return messageOf(error);
  }
  return "accepted";
}

describe("the mock section", () => {
  it("has a default for everything but the receivers' instruments and detectors", () => {
    const parsed = parseLabSettings(lab());
    expect(parsed.source).toMatchObject({
      emission: "continuous",
      pairRateHz: 250_000,
      statistics: "poisson",
      bellState: "phi+",
    });
    expect(parsed.receivers["alice"]?.fibre).toEqual({
      lengthKm: 0,
      lossDbPerKm: 0.2,
      insertionLossDb: 0,
      rotation: { axis: [0, 0, 1], angleDeg: 0 },
    });
    expect(parsed.receivers["alice"]?.detectors[0]).toMatchObject({
      efficiency: 0.7,
      darkCountRateHz: 200,
      jitterPsFwhm: 60,
      deadTimePs: 40_000,
    });
    expect(parsed.instruments["a"]?.clock).toEqual({ offsetPs: 0, driftPpb: 0, tickPs: 2000 });
    expect(parsed.hosts).toEqual({});
  });

  it.each([
    ["an unknown key", lab({ sauce: {} }), "sauce"],
    [
      "a third receiver",
      lab({ receivers: { alice: end("a"), bob: end("b"), carol: end("a") } }),
      "mock.receivers: a pair source has two receivers, not 3",
    ],
    [
      "a pump that is no instrument",
      lab({ source: { emission: "continuous", pump: "laser" } }),
      'mock.source.pump: "laser" is not among',
    ],
    [
      "an instrument that is none",
      lab({ receivers: { alice: end("a"), bob: end("c") } }),
      'mock.receivers.bob.instrument: "c" is not among',
    ],
    [
      "visibilities that no state has",
      lab({
        source: { emission: "continuous", visibilityX: 0.9, visibilityZ: 0.9, visibilityY: 0.1 },
      }),
      "mock.source: no quantum state",
    ],
    [
      "an input used twice by two receivers",
      lab({ receivers: { alice: end("a"), bob: end("a") } }),
      'mock.receivers.bob.detectors.0.input: input 1 of "a"',
    ],
    [
      "an outcome detected twice",
      lab({
        receivers: {
          alice: end("a", { detectors: [detector, { ...detector, input: 2 }] }),
          bob: end("b"),
        },
      }),
      "mock.receivers.alice.detectors.1.outcome",
    ],
    [
      "basis probabilities above 1",
      lab({
        receivers: {
          alice: end("a", { basisProbabilityZ: 0.8, basisProbabilityY: 0.3 }),
          bob: end("b"),
        },
      }),
      "add to more than 1",
    ],
    [
      "a rotation axis of no length",
      lab({
        receivers: { alice: end("a", { fibre: { rotation: { axis: [0, 0, 0] } } }), bob: end("b") },
      }),
      "mock.receivers.alice.fibre.rotation.axis",
    ],
    [
      "an efficiency in percent",
      lab({
        receivers: {
          alice: end("a", { detectors: [{ ...detector, efficiency: 70 }] }),
          bob: end("b"),
        },
      }),
      "mock.receivers.alice.detectors.0.efficiency",
    ],
    [
      "pulses with a pair rate",
      lab({ source: { emission: "pulsed", pairRateHz: 1 } }),
      "pairRateHz",
    ],
  ])("with %s is refused, naming the key", (_, section, message) => {
    expect(refusal(section)).toContain(message);
  });

  it("lets two receivers share one tagger", () => {
    const shared = { alice: end("a"), bob: end("a", { detectors: [{ ...detector, input: 2 }] }) };
    expect(refusal(lab({ receivers: shared }))).toBe("accepted");
  });

  it("can be published as a JSON Schema in which every value is described", () => {
    const schema = z.toJSONSchema(labSettingsSchema, { io: "input" });
    const undescribed = propertiesIn(schema, "mock").filter(([, node]) => {
      const isValue = "type" in node && !["object", "array"].includes(String(node["type"]));
      return isValue && !("description" in node);
    });
    expect(undescribed).toEqual([]);
    expect(propertiesIn(schema, "mock").length).toBeGreaterThan(40);
  });
});

type SchemaNode = Readonly<Record<string, unknown>>;

/** Every property in a JSON Schema, with its path. */
function propertiesIn(node: SchemaNode, path: string): [string, SchemaNode][] {
  const isNode = (value: unknown): value is SchemaNode =>
    typeof value === "object" && value !== null;
  const properties = isNode(node["properties"]) ? Object.entries(node["properties"]) : [];
  const own = properties.flatMap(([key, value]): [string, SchemaNode][] =>
    isNode(value) ? [[`${path}.${key}`, value]] : [],
  );
  const inner = Object.entries(node).flatMap(([key, value]) =>
    isNode(value) ? propertiesIn(value, `${path}.${key}`) : [],
  );
  return [...own, ...inner];
}
