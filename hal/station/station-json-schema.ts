import { z } from "zod";
import type { StationContext } from "./station-file.ts";
import { stationSchema } from "./station-schema.ts";

/** A JSON Schema document, or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * Gives the JSON Schema (draft 2020-12) of station files, for editors: the shape, the settings of every
 * driver behind its name, and the mock section. Contradictions between keys are beyond it.
 */
export function stationJsonSchema(context: StationContext): JsonSchema {
  const mock = context.mockSchema ?? z.unknown();
  const schema = stationSchema.extend({
    mock: mock.optional().describe("The mock laboratory that the mock: ports lead to."),
  });
  const perDriver = [...context.manifests.values()].map((manifest) => {
    // Which dialect it is, the document says once for all.
    const { $schema: _, ...settings } = toJsonSchema(manifest.settings);
    return {
      if: { properties: { driver: { const: manifest.id } }, required: ["driver"] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
      then: { properties: { settings, limits: limitsSchema(settings) } },
    };
  });
  const drivers = [...context.manifests.keys()];
  return {
    title: "Bellwether station",
    ...toJsonSchema(schema, (path, part) => {
      if (endsWith(path, ["devices", "additionalProperties"]) && perDriver.length > 0) {
        Object.assign(part, { allOf: perDriver });
      }
      if (endsWith(path, ["properties", "driver"]) && drivers.length > 0) {
        Object.assign(part, { enum: drivers });
      }
    }),
  };
}

/** Bounds of the settings that are numbers, so that an editor offers them and underlines a misspelt one. */
function limitsSchema({ properties }: JsonSchema): JsonSchema {
  const numbers = Object.entries((properties ?? {}) as Record<string, JsonSchema>).filter(
    ([, { type }]) => type === "number" || type === "integer",
  );
  const bounds = numbers.flatMap(([setting, { description }]) => [
    [`${setting}Max`, { type: "number", description: `Upper bound. ${description ?? ""}`.trim() }],
    [`${setting}Min`, { type: "number", description: `Lower bound. ${description ?? ""}`.trim() }],
  ]);
  return { properties: Object.fromEntries(bounds), additionalProperties: false };
}

const endsWith = (path: readonly (string | number)[], end: readonly string[]): boolean =>
  end.every((key, index) => path[path.length - end.length + index] === key);

function toJsonSchema(
  schema: z.ZodType,
  amend: (path: readonly (string | number)[], part: Record<string, unknown>) => void = () =>
    undefined,
): JsonSchema {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ path, jsonSchema }) => amend(path, jsonSchema as Record<string, unknown>),
  });
}
